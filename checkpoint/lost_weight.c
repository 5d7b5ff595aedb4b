/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/lost_weight.h"

#include <stdio.h>
#include <string.h>

#include "checkpoint/config.h"

/* The tensor of the same module with another last part of its name. */
static const struct tensor_entry *beside(const struct contents *contents,
                                         const char *name, const char *leaf,
                                         char other[NAME_BESIDE_BYTES])
{
    name_beside(name, leaf, other);
    return table_find(contents->table, other);
}

static bool same_shape(const struct tensor_entry *left, const struct tensor_entry *right)
{
    return left->rank == right->rank &&
           memcmp(left->shape, right->shape, left->rank * sizeof(left->shape[0])) == 0;
}

/* MLX's scales and biases, of any number of bits: both are there, and are of one shape. */
static bool is_mlx_table(const struct contents *contents,
                         const struct tensor_entry *entry, char weight[NAME_BESIDE_BYTES])
{
    const bool scales = name_ends_with(entry->name, ".scales");
    const struct tensor_entry *other =
        scales || name_ends_with(entry->name, ".biases")
            ? beside(contents, entry->name, scales ? "biases" : "scales", weight)
            : NULL;

    return other && entry->rank > 1 && same_shape(entry, other) &&
           entry->type == other->type && !beside(contents, entry->name, "weight", weight);
}

/* The name without its ending. */
static bool is_without(const struct contents *contents, const char *name,
                       const char *ending, char weight[NAME_BESIDE_BYTES])
{
    if (!name_ends_with(name, ending))
        return false;
    snprintf(weight, NAME_BESIDE_BYTES, "%.*s", (int)(strlen(name) - strlen(ending)),
             name);
    return !table_find(contents->table, weight);
}

static bool lacks_weight(const struct contents *contents,
                         const struct model_config *config,
                         const struct tensor_entry *entry, char weight[NAME_BESIDE_BYTES])
{
    uint64_t elements;

    if (!type_holds(entry->type, TRIT_ENCODING_DENSE) ||
        !shape_elements(entry->rank, entry->shape, &elements))
        return false;
    switch (contents->terms.encoding) {
    case TRIT_ENCODING_HF_BITNET:
        return elements == 1 && name_ends_with(entry->name, ".weight_scale") &&
               is_without(contents, entry->name, "_scale", weight);
    case TRIT_ENCODING_INT8:
        return name_ends_with(entry->name, ".weight.scales") &&
               is_without(contents, entry->name, ".scales", weight);
    case TRIT_ENCODING_MLX_2BIT:
        return is_mlx_table(contents, entry, weight);
    default:
        return config && config->bits && is_mlx_table(contents, entry, weight);
    }
}

bool lost_weight_of(const struct contents *contents, const struct model_config *config,
                    size_t index, char weight[NAME_BESIDE_BYTES])
{
    const struct content *item = &contents->items[index];

    return item->kind != CONTENT_LAYER && item->kind != CONTENT_EXCLUDED &&
           item->owner == CONTENT_NONE &&
           lacks_weight(contents, config, &contents->table->entries[index], weight);
}
