/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/hqq.h"

#include <stdio.h>
#include <string.h>

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

static const char *leaf_of(const struct tensor_entry *entry)
{
    const char *dot = strrchr(entry->name, '.');

    return dot ? dot + 1 : entry->name;
}

static bool has_beside(const struct tensor_table *table, const struct tensor_entry *entry,
                       const char *leaf)
{
    char name[FILES_NAME_BYTES_MAX + 32];

    snprintf(name, sizeof(name), "%.*s%s", (int)(leaf_of(entry) - entry->name),
             entry->name, leaf);
    return table_find(table, name) != NULL;
}

/* gemlite's W_q has no nbits. */
bool hqq_is_weight(const struct tensor_table *table, const struct tensor_entry *entry)
{
    return strcmp(leaf_of(entry), "W_q") == 0 && has_beside(table, entry, "nbits");
}

bool hqq_is_setting(const struct tensor_table *table, const struct tensor_entry *entry)
{
    return strcmp(leaf_of(entry), "W_q") != 0 && has_beside(table, entry, "W_q") &&
           has_beside(table, entry, "nbits");
}
