/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/foreign_lost.h"

#include <inttypes.h>

#include "base/number.h"
#include "checkpoint/decode.h"
#include "checkpoint/foreign.h"

static bool is_zero(const struct foreign_form *form, const void *scales, uint64_t place)
{
    return float_at(form->dtype, scales, place) == 0;
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

bool foreign_has_zero_scale(const struct foreign_form *form, uint64_t columns,
                            uint64_t first, uint64_t count, const void *scales)
{
    for (uint64_t row = 0; row < count; row++)
        for (uint64_t i = 0; i < columns; i += form->block_columns)
            if (is_zero(form, scales, foreign_scale_place(form, first, count, row, i)))
                return true;
    return false;
}

void foreign_find_lost(const struct foreign_form *form, uint64_t columns, uint64_t first,
                       uint64_t count, const void *data, const void *scales,
                       const void *biases, struct lost_groups *lost)
{
    const uint64_t groups = (columns + form->block_columns - 1) / form->block_columns;

    for (uint64_t row = 0; row < count; row++)
        for (uint64_t k = 0; k < groups; k++) {
            const uint64_t begin = k * form->block_columns;
            const uint64_t end = u64_min(columns, begin + form->block_columns);
            const uint64_t at = foreign_scale_place(form, first, count, row, begin);
            const float bias = biases ? float_at(form->dtype, biases, at) : 0;

            if (!is_zero(form, scales, at) ||
                !has_weights(form, count, row, begin, end, data, biases ? &bias : NULL))
                continue;
            if (lost->count++ == 0)
                lost->first = (first + row) * groups + k;
        }
}

int lost_groups_refuse(const struct lost_groups *lost, struct failure *failure)
{
    return lost->count == 0 ? 0
                            : fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                                   "group %" PRIu64 " has the scale 0, but nonzero codes",
                                   lost->first);
}

void findings_add_lost_groups(struct file_findings *findings, const char *matrix,
                              const struct lost_groups *lost)
{
    struct trit_finding *added =
        lost->count
            ? findings_add(findings, TRIT_FINDING_SCALE_ZERO_UNDER_CODES, matrix, NULL)
            : NULL;

    if (!added)
        return;
    added->has_group = added->has_count = true;
    added->group = lost->first;
    added->count = lost->count;
    finding_set_hint(added,
                     "a scale of 0 turns nonzero codes into zeros; pack the weights "
                     "again");
}
