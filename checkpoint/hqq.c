/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/hqq.h"

#include <stdio.h>
#include <string.h>

#include "checkpoint/name_parts.h"

const char *const hqq_settings[] = {
    "nbits",
    "group_size",
    "shape",
    "axis",
    "packing",
    "view_as_float",
    "unpack_view_dtype",
    "quant_scale",
    "quant_zero",
    "compute_dtype",
    "offload_meta",
    "channel_wise",
    "stores_quant_config",
    "encoded_state_dict",
    "optimize",
    "round_zero",
    "scale_q",
    "zero_q",
    "zero_scale",
    NULL,
};

static bool has_beside(const struct tensor_table *table, const struct tensor_entry *entry,
                       const char *leaf)
{
    char name[NAME_BESIDE_BYTES];

    name_beside(entry->name, leaf, name);
    return table_find(table, name) != NULL;
}

/* gemlite's W_q has no nbits. */
bool hqq_is_weight(const struct tensor_table *table, const struct tensor_entry *entry)
{
    return strcmp(name_leaf(entry->name), "W_q") == 0 &&
           has_beside(table, entry, "nbits");
}

bool hqq_is_setting(const struct tensor_table *table, const struct tensor_entry *entry)
{
    return strcmp(name_leaf(entry->name), "W_q") != 0 &&
           has_beside(table, entry, "W_q") && has_beside(table, entry, "nbits");
}
