/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/head.h"

#include <string.h>

#include "checkpoint/config.h"
#include "checkpoint/selection.h"

static const char head[] = "lm_head.weight";
static const char inner[] = "model.";

static bool is_inner_model(const struct tensor_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        if (strncmp(table->entries[i].name, inner, sizeof(inner) - 1) != 0)
            return false;
    return table_find(table, "model.embed_tokens.weight") != NULL;
}

static bool has_head(const struct contents *contents)
{
    for (size_t i = 0; i < contents->table->count; i++)
        if (contents->items[i].role == ROLE_HEAD)
            return true;
    return false;
}

/* Is the head, or what may hold it, found missing already? */
static bool is_told(const struct file_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct file_finding *one = &findings->list[i];

        if (one->finding.kind == TRIT_FINDING_INDEX_DISAGREES ||
            (one->finding.kind == TRIT_FINDING_MISSING_LAYER && one->layer &&
             strcmp(one->layer, head) == 0))
            return true;
    }
    return false;
}

void findings_add_head(struct file_findings *findings,
                       const struct checkpoint_options *options,
                       const struct model_config *config, const struct contents *claim,
                       const struct contents *latents)
{
    if (!config->has_head || !is_inner_model(claim->table) || is_told(findings) ||
        (latents && has_head(latents)) ||
        selection_of(options, head) == SELECTION_EXCLUDED)
        return;
    finding_set_hint(findings_add(findings, TRIT_FINDING_MISSING_TENSOR, NULL, head),
                     "config.json says that the head is not tied to the embeddings "
                     "(tie_word_embeddings), but the file lacks it");
}
