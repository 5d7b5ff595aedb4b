/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/naming_tables.h"

#include <stddef.h>

#include "checkpoint/name_parts.h"

/* Tables of packed weights in any module. */
static const char *const table_leaves[] = {
    "scales",      "biases",           "zeros",         "qzeros",
    "g_idx",       "absmax",           "nested_absmax", "quant_map",
    "scb",         "nested_quant_map", "scale",         "zero",
    "zero_point",  "weight_format",    "weight_shape",  "scale_weight",
    "scale_input", "weight_scale_2",   "*_scale",       "*_scales",
    "*_scale_inv", "*_zero_point",     "*_zeros",       "*_g_idx",
    "_shift",      "q_scale_max",      "q_groups",      "q_group_map",
    "q_invperm",   "q_perm",           "codebooks",     "tables", /* of HIGGS */
    "perm",        "workspace",                                   /* of Marlin */
    "tables2",     "scale_packed",     "wscales",       "wzeros",
    NULL,
};

bool name_is_packing_table(const char *text)
{
    static const char *const states[] = {"quant_state", NULL};
    struct name name;

    name_split(&name, text);
    return part_matches(name.leaf, table_leaves) || name_has_part(&name, states);
}
