/* SPDX-License-Identifier: Apache-2.0 */
#include "store/fields.h"

#include <string.h>

static const char *const names[STORE_FIELDS] = {
    [STORE_ZERO_FRACTION] = "zero_fraction",
    [STORE_ZERO_GROUPS] = "zero_groups",
    [STORE_ZERO_GROUP_FRACTION] = "zero_group_fraction",
    [STORE_FLIPS] = "flips",
    [STORE_FLIP_FRACTION] = "flip_fraction",
    [STORE_SCALE_MIN] = "scale_min",
    [STORE_SCALE_MEAN] = "scale_mean",
    [STORE_SCALE_MAX] = "scale_max",
    [STORE_SCALE_DRIFT] = "scale_drift",
    [STORE_SQNR_DB] = "sqnr_db",
    [STORE_NEAR_THRESHOLD] = "near_threshold_fraction",
    [STORE_NON_FINITE] = "non_finite",
};

const char *store_field_name(enum store_field field)
{
    return names[field];
}

int store_field_by_name(const char *name)
{
    for (int i = 0; i < STORE_FIELDS; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}
