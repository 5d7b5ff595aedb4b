/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/layer_diff.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_ELEMENTS = 1 << 18, EQUAL_ELEMENTS = 1 << 10 };

static size_t trit_index(float value)
{
    return value > 0 ? 2 : value < 0 ? 0 : 1;
}

static void compare(struct layer_diff *diff, const float *a, const float *b,
                    uint64_t count, uint64_t offset)
{
    for (uint64_t i = 0; i < count; i++) {
        const size_t from = trit_index(a[i]), to = trit_index(b[i]);
        const float left = fabsf(a[i]), right = fabsf(b[i]);

        diff->transitions[from][to]++;
        diff->codes_differing += from != to;
        if (isnan(left) != isnan(right)) {
            diff->magnitudes_differing++;
        } else if (left != 0 && right != 0 && left != right && !isnan(left)) {
            const double ratio = (double)left / (double)right;

            diff->magnitudes_differing++;
            diff->scale_ratio_max =
                fmax(diff->scale_ratio_max, ratio < 1 ? 1 / ratio : ratio);
        } else if (from == to) {
            continue;
        }
        if (!diff->has_first) {
            diff->has_first = true;
            diff->first = offset + i;
        }
    }
}

/* Most runs are equal: then signs are counted, in a loop without branches. NaN counts as
 * 0, as in compare. */
static bool count_equal(struct layer_diff *diff, const float *a, const float *b,
                        uint64_t count)
{
    uint32_t negatives = 0, positives = 0;

    if (memcmp(a, b, count * sizeof(*a)) != 0)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        negatives += a[i] < 0;
        positives += a[i] > 0;
    }
    diff->transitions[0][0] += negatives;
    diff->transitions[1][1] += count - negatives - positives;
    diff->transitions[2][2] += positives;
    return true;
}

static void compare_runs(struct layer_diff *diff, const float *a, const float *b,
                         uint64_t count, uint64_t offset)
{
    for (uint64_t at = 0; at < count; at += EQUAL_ELEMENTS) {
        const uint64_t left = count - at;
        const uint64_t run = left < EQUAL_ELEMENTS ? left : EQUAL_ELEMENTS;

        if (!count_equal(diff, a + at, b + at, run))
            compare(diff, a + at, b + at, run, offset + at);
    }
}

static int walk(struct layer_diff *diff, const struct encoded_matrix *a,
                const struct encoded_matrix *b, uint64_t rows, float *values,
                struct failure *failure)
{
    const struct kernels *kernels = kernels_select(NULL);
    float *others = values + rows * a->columns;

    for (uint64_t row = 0; row < a->rows; row += rows) {
        const uint64_t left = a->rows - row, count = left < rows ? left : rows;

        if (!matrix_decode(kernels, a, row, count, values) ||
            !matrix_decode(kernels, b, row, count, others))
            return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                        "a code is not -1, 0 or +1");
        compare_runs(diff, values, others, count * a->columns, row * a->columns);
    }
    return 0;
}

int layer_diff(struct layer_diff *diff, const struct encoded_matrix *a,
               const struct encoded_matrix *b, struct failure *failure)
{
    uint64_t rows = a->columns ? PIECE_ELEMENTS / a->columns : 1;
    struct kernels_env env;
    float *values;
    int result;

    *diff = (struct layer_diff){.elements = a->rows * a->columns, .scale_ratio_max = 1};
    rows = rows ? rows : 1;
    values = calloc(2 * rows, (a->columns + 1) * sizeof(*values));
    if (!values)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    kernels_enter(&env);
    result = walk(diff, a, b, rows, values, failure);
    kernels_leave(&env);
    free(values);
    return result;
}

void layer_diff_add(struct layer_diff *diff, const struct layer_diff *more)
{
    for (size_t from = 0; from < 3; from++)
        for (size_t to = 0; to < 3; to++)
            diff->transitions[from][to] += more->transitions[from][to];
    diff->codes_differing += more->codes_differing;
    diff->magnitudes_differing += more->magnitudes_differing;
    diff->scale_ratio_max = fmax(diff->scale_ratio_max, more->scale_ratio_max);
    if (more->has_first && !diff->has_first) {
        diff->has_first = true;
        diff->first = diff->elements + more->first;
    }
    diff->elements += more->elements;
}
