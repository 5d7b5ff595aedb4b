/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/scale_beside.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/decode.h"
#include "checkpoint/foreign_tables.h"
#include "checkpoint/gguf_names.h"
#include "checkpoint/name_parts.h"

enum { SCALES_MAX = 1024 }; /* of the experts of a layer, each with one */

const char scale_beside_refusal[] =
    "its scale is in a tensor of its own, NAME_scale, and would be lost; pack the model from "
    "which this one was saved";

void contents_find_scales_beside(struct contents *contents)
{
    static const char *const leaves[] = {"weight_scale", "weight_scale_inv"};
    const struct tensor_table *table = contents->table;

    for (size_t i = 0; i < table->count; i++) {
        struct content *item = &contents->items[i];
        const struct tensor_entry *entry = &table->entries[i];

        if (item->kind != CONTENT_LAYER ||
            !type_holds(entry->type, TRIT_ENCODING_DENSE) ||
            strcmp(name_leaf(entry->name), "weight") != 0)
            continue;
        for (size_t k = 0; k < sizeof(leaves) / sizeof(leaves[0]); k++) {
            const size_t index = foreign_sibling(table, entry, leaves[k]);

            if (index == SIZE_MAX || contents->items[index].owner != CONTENT_NONE ||
                !foreign_is_float(&table->entries[index]))
                continue;
            if (contents->items[index].kind == CONTENT_LAYER)
                contents->layers--;
            contents->items[index].kind = CONTENT_FOREIGN_TABLE;
            contents->items[index].owner = i;
            item->beside = index;
        }
    }
}

/* The scale beside a layer, or CONTENT_NONE. */
static size_t scale_of(const struct contents *claim, size_t index)
{
    const struct content *item = &claim->items[index];

    if (item->beside != CONTENT_NONE || !table_is_gguf(claim->table))
        return item->beside;
    const size_t found =
        foreign_sibling(claim->table, &claim->table->entries[index], "scale");
    return found != SIZE_MAX && foreign_is_float(&claim->table->entries[found])
               ? found
               : CONTENT_NONE;
}

static void add_undecided(struct file_findings *findings, const struct contents *claim,
                          size_t index, const struct tensor_entry *scale)
{
    const char *name = claim->table->entries[index].name;
    struct trit_finding *added =
        findings_add(findings, TRIT_FINDING_FOREIGN_PACKING, NULL, name);
    char hint[TRIT_FINDING_HINT_BYTES_MAX + 1];

    snprintf(
        hint, sizeof(hint),
        "dense weights beside a tensor %.24s that may be their scale; verify the model "
        "from which this one was saved, or save their product",
        name_leaf(scale->name));
    finding_set_hint(added, hint);
}

static void add_wrong(struct file_findings *findings, const char *layer, float value,
                      const char *scale)
{
    const enum trit_finding_kind kind = !isfinite(value) ? TRIT_FINDING_SCALE_NON_FINITE
                                        : value < 0      ? TRIT_FINDING_SCALE_NEGATIVE
                                                    : TRIT_FINDING_SCALE_ZERO_UNDER_CODES;
    struct trit_finding *added = findings_add(findings, kind, layer, scale);

    if (!added)
        return;
    snprintf(added->got, sizeof(added->got), "%.9g", (double)value);
    finding_set_hint(added,
                     "the scale of the layer, in a tensor of its own, must be finite "
                     "and above 0; save the model again");
}

void findings_add_scale_beside(struct file_findings *findings,
                               const struct checkpoint_options *options,
                               const struct contents *claim, bool latents, size_t index)
{
    const size_t found = scale_of(claim, index);
    const bool own = found != CONTENT_NONE && found == claim->items[index].beside;
    float values[SCALES_MAX];
    uint64_t elements;

    if (found == CONTENT_NONE)
        return;
    const struct tensor_entry *scale = &claim->table->entries[found];
    if (!shape_elements(scale->rank, scale->shape, &elements) || elements == 0 ||
        elements > (own ? 1 : SCALES_MAX) || (own && latents) || !options->read_small ||
        options->read_small(options->read_arg, scale, values, (size_t)scale->bytes) < 0) {
        add_undecided(findings, claim, index, scale);
        return;
    }
    for (uint64_t i = 0; i < elements; i++) {
        const float value = float_at(scale->type->dtype, values, i);

        if (!(value > 0) || !isfinite(value)) {
            add_wrong(findings, claim->table->entries[index].name, value, scale->name);
            return;
        }
    }
}
