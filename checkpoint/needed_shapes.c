/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/needed_shapes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/config.h"
#include "checkpoint/gguf_names.h"
#include "checkpoint/needed_table.h"

enum axis { ANY, HIDDEN, INNER };

/* The rows of q, k and v follow from numbers of heads whose default each class has for itself. */
static const struct {
    const char *module; /* in its block */
    enum axis rows, columns;
} shapes[] = {
    {"self_attn.q_proj", ANY, HIDDEN}, {"self_attn.k_proj", ANY, HIDDEN},
    {"self_attn.v_proj", ANY, HIDDEN}, {"self_attn.qkv_proj", ANY, HIDDEN},
    {"self_attn.o_proj", HIDDEN, ANY}, {"self_attn.dense", HIDDEN, ANY},
    {"mlp.gate_proj", INNER, HIDDEN},  {"mlp.up_proj", INNER, HIDDEN},
    {"mlp.down_proj", HIDDEN, INNER},  {"mlp.c_fc", INNER, HIDDEN},
    {"mlp.c_proj", HIDDEN, INNER},     {"mlp.fc1", INNER, HIDDEN},
    {"mlp.fc2", HIDDEN, INNER},        {"mlp.gate_up_proj", ANY, HIDDEN},
};

static unsigned size_of(enum axis axis, const struct model_config *config)
{
    switch (axis) {
    case HIDDEN:
        return config->hidden_size;
    case INNER:
        return config->inner_size;
    case ANY:
        break;
    }
    return 0;
}

static bool fits(unsigned told, uint64_t got)
{
    return told == 0 || told == got;
}

/* What follows the number of the block in the layer's name; NULL: it is in no block. */
static const char *module_of(const char *name, const char *blocks)
{
    const size_t length = strlen(blocks);
    const char *number = name + length;

    if (strncmp(name, blocks, length) != 0)
        return NULL;
    const size_t digits = strspn(number, "0123456789");
    return digits && number[digits] == '.' ? number + digits + 1 : NULL;
}

static void side_text(char text[16], unsigned told)
{
    if (told)
        snprintf(text, 16, "%u", told);
    else
        snprintf(text, 16, "*");
}

static void check(struct file_findings *findings, const struct model_config *config,
                  const char *layer, size_t shape, const struct matrices *got)
{
    const unsigned rows = size_of(shapes[shape].rows, config);
    const unsigned columns = size_of(shapes[shape].columns, config);
    char row_text[16], column_text[16];

    if (fits(rows, got->rows) && fits(columns, got->columns))
        return;
    struct trit_finding *added =
        findings_add(findings, TRIT_FINDING_CONFIG_DISAGREES, layer, NULL);
    if (!added)
        return;
    side_text(row_text, rows);
    side_text(column_text, columns);
    snprintf(added->expected, sizeof(added->expected), "[%s, %s]", row_text, column_text);
    snprintf(added->got, sizeof(added->got), "[%" PRIu64 ", %" PRIu64 "]", got->rows,
             got->columns);
    finding_set_hint(
        added, "config.json (hidden_size, intermediate_size) gives the layer another "
               "shape; is it the part of one rank?");
}

void findings_add_shapes(struct file_findings *findings,
                         const struct model_config *config, const struct contents *claim)
{
    struct needed_model model;

    if (!config || table_is_gguf(claim->table) ||
        !needed_model_of(config, claim->table, &model))
        return;
    for (size_t i = 0; i < claim->table->count; i++) {
        const struct content *item = &claim->items[i];
        const struct tensor_entry *entry = &claim->table->entries[i];
        const char *module = module_of(entry->name, model.blocks);
        const char *dot = module ? strrchr(module, '.') : NULL;

        if (!content_is_complete(item) || item->dense.rank != 2 || !dot)
            continue;
        for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++)
            if (strlen(shapes[k].module) == (size_t)(dot - module) &&
                memcmp(shapes[k].module, module, (size_t)(dot - module)) == 0) {
                const struct matrices got = content_matrices(item);

                check(findings, config, entry->name, k, &got);
            }
    }
}
