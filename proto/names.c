/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/names.h"

#include <stddef.h>
#include <string.h>

#define ROW(value, type, wire, name) {value, name},
#define NAMES(table, type, LIST)                                                         \
    const struct enum_names table = {type, (const struct enum_name[]){LIST(ROW){0, NULL}}}

NAMES(dtype_names, "DType", DTYPES);
NAMES(partial_group_names, "PartialGroup", PARTIAL_GROUPS);
NAMES(verify_mode_names, "VerifyMode", VERIFY_MODES);
NAMES(report_detail_names, "ReportDetail", REPORT_DETAILS);
NAMES(durability_names, "ReportDurability", DURABILITIES);
NAMES(layer_kind_names, "LayerKind", LAYER_KINDS);
NAMES(layer_part_names, "LayerPart", LAYER_PARTS);
NAMES(activations_names, "Activations", ACTIVATIONS);

const char *enum_name(const struct enum_names *names, unsigned value)
{
    for (const struct enum_name *row = names->values; row->name; row++)
        if (row->value == value)
            return row->name;
    return NULL;
}

bool enum_by_name(const struct enum_names *names, const char *name, unsigned *value)
{
    for (const struct enum_name *row = names->values; row->name; row++)
        if (strcmp(row->name, name) == 0) {
            *value = row->value;
            return true;
        }
    return false;
}

const char *dtype_name(enum trit_dtype dtype)
{
    const char *name = enum_name(&dtype_names, dtype);

    return name ? name : "unspecified";
}
