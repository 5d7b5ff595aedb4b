/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/incomplete.h"

#include <stdio.h>
#include <string.h>

#include "checkpoint/config.h"
#include "checkpoint/lost_weight.h"

/* Is it known already that the file lacks some of its tensors? */
static bool is_short(const struct file_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->list[i].finding.kind == TRIT_FINDING_TRUNCATED ||
            findings->list[i].finding.kind == TRIT_FINDING_INDEX_DISAGREES)
            return true;
    return false;
}

void findings_add_lack(struct file_findings *findings, enum trit_finding_kind kind,
                       const char *layer, const char *tensor, const char *hint)
{
    const bool elsewhere = findings_tell_part(findings);
    struct trit_finding *added = findings_add(findings, kind, layer, tensor);

    if (!added)
        return;
    if (elsewhere)
        added->severity = TRIT_SEVERITY_UNDECIDED;
    finding_set_hint(added, elsewhere
                                ? "not in this file; another shard of the model may "
                                  "hold it: name their folder"
                                : hint);
}

/* ---- weights without scales ------------------------------------------------------- */

void findings_add_without_scales(struct file_findings *findings,
                                 const struct contents *claim, size_t index)
{
    const char *layer = claim->table->entries[index].name;
    char name[SCALES_NAME_BYTES];
    const bool biases = claim->items[index].scales != CONTENT_NONE;

    scales_name(claim->items[index].terms.encoding, layer, name);
    if (biases)
        biases_name(layer, name);
    findings_add_lack(findings, TRIT_FINDING_MISSING_TENSOR, layer, name,
                      biases ? "the biases of the layer are not in the file"
                             : "the scales of the layer are not in the file");
}

bool findings_add_mlx_without_scales(struct file_findings *findings,
                                     const struct model_config *config,
                                     const struct contents *claim, size_t index)
{
    const struct tensor_entry *entry = &claim->table->entries[index];
    const struct mlx_terms told = config_mlx_terms(config, entry->name);
    char name[SCALES_NAME_BYTES];

    if (strcmp(entry->type->name, "U32") != 0 || entry->rank < 2 || !told.bits ||
        told.other || !name_suits(TRIT_ENCODING_MLX_2BIT, entry->name))
        return false;
    scales_name(TRIT_ENCODING_MLX_2BIT, entry->name, name);
    if (table_find(claim->table, name))
        return false;
    findings_add_lack(
        findings, TRIT_FINDING_MISSING_TENSOR, entry->name, name,
        "config.json says that MLX packed the layer, but its scales are not in the file");
    return true;
}

/* ---- scales without weights ------------------------------------------------------- */

/* Of MLX's two tables, the scales name the layer. */
static bool is_biases(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot && strcmp(dot, ".biases") == 0;
}

bool findings_add_without_weight(struct file_findings *findings,
                                 const struct checkpoint_options *options,
                                 const struct contents *claim,
                                 const struct contents *latents, size_t index)
{
    const struct tensor_entry *entry = &claim->table->entries[index];
    const bool has_record = claim->record && claim->record->layers;
    char weight[NAME_BESIDE_BYTES];

    if (is_short(findings) || !lost_weight_of(claim, options->config, index, weight))
        return false;
    if (is_biases(entry->name) || (has_record && record_names(claim->record, weight)) ||
        (latents && table_find(latents->table, weight)) ||
        selection_of(options, entry->name) == SELECTION_EXCLUDED ||
        selection_of(options, weight) == SELECTION_EXCLUDED)
        return true;
    findings_add_lack(findings, TRIT_FINDING_MISSING_LAYER, weight, NULL,
                      "its scales are in the file, but the weight is not");
    return true;
}
