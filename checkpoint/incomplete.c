/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/incomplete.h"

#include <stdio.h>
#include <string.h>

#include "checkpoint/config.h"

static bool ends_with(const char *text, const char *ending)
{
    const size_t length = strlen(text), bytes = strlen(ending);

    return length >= bytes && strcmp(text + length - bytes, ending) == 0;
}

/* May other files hold what this one lacks? Findings about shards come before those about
 * tensors. */
static bool is_part(const struct file_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct trit_finding *one = &findings->list[i].finding;

        if (one->kind == TRIT_FINDING_NOT_IN_INDEX &&
            one->severity == TRIT_SEVERITY_UNDECIDED)
            return true;
    }
    return false;
}

/* Is it known already that the file lacks some of its tensors? */
static bool is_short(const struct file_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->list[i].finding.kind == TRIT_FINDING_TRUNCATED ||
            findings->list[i].finding.kind == TRIT_FINDING_INDEX_DISAGREES)
            return true;
    return false;
}

static void add(struct file_findings *findings, enum trit_finding_kind kind,
                const char *layer, const char *tensor, const char *hint)
{
    const bool elsewhere = is_part(findings);
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
    add(findings, TRIT_FINDING_MISSING_TENSOR, layer, name,
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
    add(findings, TRIT_FINDING_MISSING_TENSOR, entry->name, name,
        "config.json says that MLX packed the layer, but its scales are not in the file");
    return true;
}

/* ---- scales without weights ------------------------------------------------------- */

/* The tensor of the same module with another last part of its name. */
static const struct tensor_entry *beside(const struct contents *claim, const char *name,
                                         const char *leaf, char other[SCALES_NAME_BYTES])
{
    const char *dot = strrchr(name, '.');
    const int stem = dot ? (int)(dot - name) + 1 : 0;

    snprintf(other, SCALES_NAME_BYTES, "%.*s%s", stem, name, leaf);
    return table_find(claim->table, other);
}

static bool same_shape(const struct tensor_entry *left, const struct tensor_entry *right)
{
    return left->rank == right->rank &&
           memcmp(left->shape, right->shape, left->rank * sizeof(left->shape[0])) == 0;
}

/* MLX's scales and biases, of any number of bits: both are there, and are of one shape. */
static bool is_mlx_table(const struct contents *claim, const struct tensor_entry *entry,
                         char weight[SCALES_NAME_BYTES])
{
    const bool scales = ends_with(entry->name, ".scales");
    const struct tensor_entry *other =
        scales || ends_with(entry->name, ".biases")
            ? beside(claim, entry->name, scales ? "biases" : "scales", weight)
            : NULL;

    return other && entry->rank > 1 && same_shape(entry, other) &&
           entry->type == other->type && !beside(claim, entry->name, "weight", weight);
}

/* The name without its ending. */
static bool is_without(const struct contents *claim, const char *name, const char *ending,
                       char weight[SCALES_NAME_BYTES])
{
    if (!ends_with(name, ending))
        return false;
    snprintf(weight, SCALES_NAME_BYTES, "%.*s", (int)(strlen(name) - strlen(ending)),
             name);
    return !table_find(claim->table, weight);
}

/* Is it a table of a layer in the file's encoding, whose weight is not there? */
static bool lacks_weight(const struct contents *claim, const struct model_config *config,
                         const struct tensor_entry *entry, char weight[SCALES_NAME_BYTES])
{
    uint64_t elements;

    if (!type_holds(entry->type, TRIT_ENCODING_DENSE) ||
        !shape_elements(entry->rank, entry->shape, &elements))
        return false;
    switch (claim->terms.encoding) {
    case TRIT_ENCODING_HF_BITNET:
        return elements == 1 && ends_with(entry->name, ".weight_scale") &&
               is_without(claim, entry->name, "_scale", weight);
    case TRIT_ENCODING_INT8:
        return ends_with(entry->name, ".weight.scales") &&
               is_without(claim, entry->name, ".scales", weight);
    case TRIT_ENCODING_MLX_2BIT:
        return is_mlx_table(claim, entry, weight);
    default:
        return config && config->bits && is_mlx_table(claim, entry, weight);
    }
}

bool findings_add_without_weight(struct file_findings *findings,
                                 const struct checkpoint_options *options,
                                 const struct contents *claim,
                                 const struct contents *latents, size_t index)
{
    const struct tensor_entry *entry = &claim->table->entries[index];
    const struct content *item = &claim->items[index];
    const bool has_record = claim->record && claim->record->layers;
    char weight[SCALES_NAME_BYTES];

    if (item->kind == CONTENT_LAYER || item->kind == CONTENT_EXCLUDED ||
        item->owner != CONTENT_NONE || is_short(findings) ||
        !lacks_weight(claim, options->config, entry, weight))
        return false;
    if (ends_with(entry->name, ".biases") ||
        (has_record && record_names(claim->record, weight)) ||
        (latents && table_find(latents->table, weight)) ||
        selection_of(options, entry->name) == SELECTION_EXCLUDED ||
        selection_of(options, weight) == SELECTION_EXCLUDED)
        return true;
    add(findings, TRIT_FINDING_MISSING_LAYER, weight, NULL,
        "its scales are in the file, but the weight is not");
    return true;
}
