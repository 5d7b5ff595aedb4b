/* SPDX-License-Identifier: Apache-2.0 */
#include "web/field.h"

#include <math.h>
#include <string.h>

/* X(name, kind, worst, present, value) of the report `r` */
#define FIELDS(X)                                                                        \
    X(time_unix_ns, COUNT, false, true, r->time_unix_ns)                                 \
    X(groups, COUNT, false, true, r->groups)                                             \
    X(elements, COUNT, false, true, r->elements)                                         \
    X(fraction_valid, REAL, false, true, r->fraction_valid)                              \
    X(max_round_error, REAL, true, true, r->max_round_error)                             \
    X(negatives, COUNT, false, true, r->negatives)                                       \
    X(zeros, COUNT, false, true, r->zeros)                                               \
    X(positives, COUNT, false, true, r->positives)                                       \
    X(zero_fraction, REAL, false, r->elements > 0,                                       \
      (double)r->zeros / (double)r->elements)                                            \
    X(zero_groups, COUNT, true, true, r->zero_groups)                                    \
    X(zero_group_fraction, REAL, true, r->groups > 0,                                    \
      (double)r->zero_groups / (double)r->groups)                                        \
    X(scale_drift, REAL, false, false, 0)                                                \
    X(non_finite, COUNT, true, true, r->non_finite)                                      \
    X(scale_min, REAL, false, r->has_scales, r->scale_min)                               \
    X(scale_mean, REAL, false, r->has_scales, r->scale_mean)                             \
    X(scale_max, REAL, false, r->has_scales, r->scale_max)                               \
    X(scales_lossy_fp16, COUNT, true, true, r->scales_lossy_fp16)                        \
    X(mse, REAL, false, r->has_mse, r->mse)                                              \
    X(cosine, REAL, false, r->has_cosine, r->cosine)                                     \
    X(sqnr_db, REAL, false, r->has_sqnr_db, r->sqnr_db)                                  \
    X(previous_step, COUNT, false, r->has_previous, r->previous_step)                    \
    X(flips, COUNT, false, r->has_previous, r->flips)                                    \
    X(flip_fraction, REAL, false, r->has_previous, r->flip_fraction)                     \
    X(near_threshold_fraction, REAL, false, true, r->near_threshold_fraction)            \
    X(reference_mismatches, COUNT, true, r->has_reference, r->reference_mismatches)      \
    X(health, HEALTH, true, r->health != TRIT_HEALTH_ABSENT, r->health)

#define GETTER(name, kind, worst, present, number)                                       \
    static bool get_##name(const struct trit_report *r, double *value)                   \
    {                                                                                    \
        (void)r;                                                                         \
        *value = (double)(number);                                                       \
        return (present) && isfinite(*value);                                            \
    }
FIELDS(GETTER)

#define ROW(name, kind, worst, present, number) {#name, FIELD_##kind, worst, get_##name},
static const struct field fields_all[] = {FIELDS(ROW)};

static const char overview[] = "zero_fraction,zero_groups,non_finite,scale_mean,sqnr_db,"
                               "flip_fraction,near_threshold_fraction";

static const struct field *find(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(fields_all) / sizeof(fields_all[0]); i++)
        if (strncmp(fields_all[i].name, name, length) == 0 &&
            fields_all[i].name[length] == '\0')
            return &fields_all[i];
    return NULL;
}

const struct field *field_by_name(const char *name)
{
    return find(name, strlen(name));
}

int fields_parse(const char *text, const struct field *fields[HISTORY_FIELDS_MAX],
                 struct failure *failure)
{
    int count = 0;

    if (!text[0])
        text = overview;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        const struct field *field = find(at, length);

        if (!field || field->kind == FIELD_HEALTH)
            return fail_field(
                failure, TRIT_INVALID_ARGUMENT, "fields",
                "\"%.*s\" is not a number of a report; see /v1/openapi.json",
                (int)(length < 64 ? length : 64), at);
        for (int i = 0; i < count; i++)
            if (fields[i] == field)
                return fail_field(failure, TRIT_INVALID_ARGUMENT, "fields",
                                  "%s is given twice", field->name);
        fields[count++] = field;
        at += length;
        if (!*at)
            return count;
        if (count == HISTORY_FIELDS_MAX)
            return fail_field(failure, TRIT_INVALID_ARGUMENT, "fields",
                              "more than %d fields", HISTORY_FIELDS_MAX);
    }
}
