/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of a report that the history shows. */
#ifndef STORE_FIELDS_H
#define STORE_FIELDS_H

/* The numbers are on disk. */
enum store_field {
    STORE_ZERO_FRACTION = 0,
    STORE_ZERO_GROUPS = 1,
    STORE_ZERO_GROUP_FRACTION = 2, /* zero_groups / groups */
    STORE_FLIPS = 3,
    STORE_FLIP_FRACTION = 4,
    STORE_SCALE_MIN = 5,
    STORE_SCALE_MEAN = 6,
    STORE_SCALE_MAX = 7,
    STORE_SCALE_DRIFT =
        8, /* scale as a factor of the median of its past; docs/health.md */
    STORE_SQNR_DB = 9,
    STORE_NEAR_THRESHOLD = 10, /* near_threshold_fraction */
    STORE_NON_FINITE = 11,
    STORE_FIELDS = 12,
};

/* How the values of several reports become one. */
enum fold {
    FOLD_NEWEST,
    FOLD_MEAN, /* of the reports that have the field */
    FOLD_LEAST,
    FOLD_MOST,
    FOLD_FARTHEST, /* from 1; a factor and its inverse are equally far */
};

enum fold store_field_fold(enum store_field field);

/* The value of a_count reports and that of b_count later ones. NAN: none of them has it. */
double fold_values(enum fold how, double a, double a_count, double b, double b_count);

/* The name in JSON: that of the report's field, if it has one. */
const char *store_field_name(enum store_field field);
/* -1: there is none of this name. */
int store_field_by_name(const char *name);

#endif
