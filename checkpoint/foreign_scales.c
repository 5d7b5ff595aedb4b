/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/foreign_scales.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/number.h"
#include "checkpoint/decode.h"
#include "checkpoint/foreign.h"

static bool is_negative(const struct foreign_form *form, float scale)
{
    return scale < 0 && form->packing != PACKING_MLX;
}

static bool is_suspect(const struct foreign_form *form, float scale)
{
    return scale == 0 || !isfinite(scale) || is_negative(form, scale);
}

static void add_group(struct faulty_groups *groups, uint64_t group, float scale)
{
    if (groups->count++ == 0) {
        groups->first = group;
        groups->scale = scale;
    }
}

/* Do the codes of these weights of a row mean others than 0? MLX's bias moves the code of 0,
 * and a scale of 0 does not tell whereto: there any two codes count. */
static bool has_weights(const struct foreign_form *form, uint64_t count, uint64_t row,
                        uint64_t begin, uint64_t end, const void *data, const float *bias)
{
    double zero = (double)form->zero;

    if (bias)
        zero = form->biases_are_zeros ? zero + (double)*bias
                                      : foreign_code(form, count, row, begin, data);
    for (uint64_t i = begin; i < end; i++)
        if (foreign_code(form, count, row, i, data) != zero)
            return true;
    return false;
}

bool foreign_has_suspect_scale(const struct foreign_form *form, uint64_t columns,
                               uint64_t first, uint64_t count, const void *scales)
{
    for (uint64_t row = 0; row < count; row++)
        for (uint64_t i = 0; i < columns; i += form->block_columns) {
            const uint64_t at = foreign_scale_place(form, first, count, row, i);

            if (is_suspect(form, float_at(form->dtype, scales, at)))
                return true;
        }
    return false;
}

void foreign_find_faults(const struct foreign_form *form, uint64_t columns,
                         uint64_t first, uint64_t count, const void *data,
                         const void *scales, const void *biases,
                         struct scale_faults *faults)
{
    const uint64_t groups = (columns + form->block_columns - 1) / form->block_columns;

    for (uint64_t row = 0; row < count; row++)
        for (uint64_t k = 0; k < groups; k++) {
            const uint64_t begin = k * form->block_columns;
            const uint64_t end = u64_min(columns, begin + form->block_columns);
            const uint64_t at = foreign_scale_place(form, first, count, row, begin);
            const float bias = biases ? float_at(form->dtype, biases, at) : 0;
            const float scale = float_at(form->dtype, scales, at);
            const uint64_t group = (first + row) * groups + k;

            if (!isfinite(scale))
                add_group(&faults->non_finite, group, scale);
            else if (is_negative(form, scale))
                add_group(&faults->negative, group, scale);
            else if (scale == 0 && has_weights(form, count, row, begin, end, data,
                                               biases ? &bias : NULL))
                add_group(&faults->lost, group, scale);
        }
}

static int refuse(const struct faulty_groups *groups, const char *why,
                  struct failure *failure)
{
    return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                "group %" PRIu64 " has the scale %.9g%s", groups->first,
                (double)groups->scale, why);
}

int scale_faults_refuse(const struct scale_faults *faults, bool dense,
                        struct failure *failure)
{
    if (faults->non_finite.count)
        return refuse(&faults->non_finite, "; it must be finite", failure);
    if (dense)
        return 0;
    if (faults->negative.count)
        return refuse(&faults->negative, "; it must be finite and positive", failure);
    return faults->lost.count ? refuse(&faults->lost, ", but nonzero codes", failure) : 0;
}

static void add_groups(struct file_findings *findings, enum trit_finding_kind kind,
                       const char *matrix, const struct faulty_groups *groups,
                       const char *hint)
{
    struct trit_finding *added =
        groups->count ? findings_add(findings, kind, matrix, NULL) : NULL;

    if (!added)
        return;
    added->has_group = added->has_count = true;
    added->group = groups->first;
    added->count = groups->count;
    snprintf(added->got, sizeof(added->got), "%.9g", (double)groups->scale);
    finding_set_hint(added, hint);
}

void findings_add_scale_faults(struct file_findings *findings, const char *matrix,
                               const struct scale_faults *faults)
{
    add_groups(findings, TRIT_FINDING_SCALE_NON_FINITE, matrix, &faults->non_finite,
               "a scale must be finite; pack the weights again");
    add_groups(findings, TRIT_FINDING_SCALE_NEGATIVE, matrix, &faults->negative,
               "a scale must be positive; this one flips every sign of its group; "
               "pack the weights again");
    add_groups(findings, TRIT_FINDING_SCALE_ZERO_UNDER_CODES, matrix, &faults->lost,
               "a scale of 0 turns nonzero codes into zeros; pack the weights again");
}
