/* SPDX-License-Identifier: Apache-2.0 */
#include "web/field.h"

#include <math.h>
#include <string.h>

enum { HALF_BITS = 62 };

double field_pack(uint64_t whole)
{
    const uint64_t half = (uint64_t)1 << HALF_BITS;
    const uint64_t bits = whole < half ? whole : (whole - half) | 2 * half;
    double place;

    memcpy(&place, &bits, sizeof(place));
    return place;
}

uint64_t field_unpack(double place)
{
    const uint64_t half = (uint64_t)1 << HALF_BITS;
    uint64_t bits;

    memcpy(&bits, &place, sizeof(bits));
    return bits < 2 * half ? bits : bits - 2 * half + half;
}

/* X(name, kind, fold, present, value) of the report `r` */
#define FIELDS(X)                                                                        \
    X(time_unix_ns, WHOLE, NEWEST, true, field_pack((uint64_t)r->time_unix_ns))          \
    X(groups, COUNT, NEWEST, true, r->groups)                                            \
    X(elements, COUNT, NEWEST, true, r->elements)                                        \
    X(fraction_valid, REAL, LEAST, true, r->fraction_valid)                              \
    X(max_round_error, REAL, MOST, true, r->max_round_error)                             \
    X(negatives, COUNT, MEAN, true, r->negatives)                                        \
    X(zeros, COUNT, MEAN, true, r->zeros)                                                \
    X(positives, COUNT, MEAN, true, r->positives)                                        \
    X(zero_fraction, REAL, MEAN, r->elements > 0,                                        \
      (double)r->zeros / (double)r->elements)                                            \
    X(zero_groups, COUNT, MOST, true, r->zero_groups)                                    \
    X(zero_group_fraction, REAL, MOST, r->groups > 0,                                    \
      (double)r->zero_groups / (double)r->groups)                                        \
    X(scale_drift, REAL, FARTHEST, false, 0)                                             \
    X(non_finite, COUNT, MOST, true, r->non_finite)                                      \
    X(scale_min, REAL, LEAST, r->has_scales, r->scale_min)                               \
    X(scale_mean, REAL, MEAN, r->has_scales, r->scale_mean)                              \
    X(scale_max, REAL, MOST, r->has_scales, r->scale_max)                                \
    X(scales_lossy_fp16, COUNT, MOST, true, r->scales_lossy_fp16)                        \
    X(mse, REAL, MOST, r->has_mse, r->mse)                                               \
    X(cosine, REAL, LEAST, r->has_cosine, r->cosine)                                     \
    X(sqnr_db, REAL, LEAST, r->has_sqnr_db, r->sqnr_db)                                  \
    X(previous_step, WHOLE, NEWEST, r->has_previous, field_pack(r->previous_step))       \
    X(flips, COUNT, MEAN, r->has_previous, r->flips)                                     \
    X(flip_fraction, REAL, MEAN, r->has_previous, r->flip_fraction)                      \
    X(near_threshold_fraction, REAL, MOST, true, r->near_threshold_fraction)             \
    X(reference_mismatches, COUNT, MOST, r->has_reference, r->reference_mismatches)      \
    X(health, HEALTH, MOST, r->health != TRIT_HEALTH_ABSENT, r->health)

#define GETTER(name, kind, fold, present, number)                                        \
    static bool get_##name(const struct trit_report *r, double *value)                   \
    {                                                                                    \
        (void)r;                                                                         \
        *value = (double)(number);                                                       \
        return (present) && isfinite(*value);                                            \
    }
FIELDS(GETTER)

#define ROW(name, kind, fold, present, number)                                           \
    {#name, FIELD_##kind, FOLD_##fold, get_##name},
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
