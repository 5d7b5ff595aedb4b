/* SPDX-License-Identifier: Apache-2.0 */
#include "store/fields.h"

#include <math.h>
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

static const enum fold folds[STORE_FIELDS] = {
    [STORE_ZERO_FRACTION] = FOLD_MEAN,       [STORE_ZERO_GROUPS] = FOLD_MOST,
    [STORE_ZERO_GROUP_FRACTION] = FOLD_MOST, [STORE_FLIPS] = FOLD_MEAN,
    [STORE_FLIP_FRACTION] = FOLD_MEAN,       [STORE_SCALE_MIN] = FOLD_LEAST,
    [STORE_SCALE_MEAN] = FOLD_MEAN,          [STORE_SCALE_MAX] = FOLD_MOST,
    [STORE_SCALE_DRIFT] = FOLD_FARTHEST,     [STORE_SQNR_DB] = FOLD_LEAST,
    [STORE_NEAR_THRESHOLD] = FOLD_MOST,      [STORE_NON_FINITE] = FOLD_MOST,
};

enum fold store_field_fold(enum store_field field)
{
    return folds[field];
}

double fold_values(enum fold how, double a, double a_count, double b, double b_count)
{
    if (isnan(a) || isnan(b))
        return isnan(a) ? b : a;
    switch (how) {
    case FOLD_NEWEST:
        return b;
    case FOLD_LEAST:
        return fmin(a, b);
    case FOLD_MOST:
        return fmax(a, b);
    case FOLD_FARTHEST:
        return fmax(a, 1 / a) >= fmax(b, 1 / b) ? a : b;
    case FOLD_MEAN:
        break;
    }
    return (a * a_count + b * b_count) / (a_count + b_count);
}
