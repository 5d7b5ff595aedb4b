/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/group.h"

#include <math.h>

float group_project(const struct kernels *kernels, enum trit_dtype dtype,
                    const void *latents, uint64_t length, uint64_t divisor,
                    uint8_t *codes)
{
    struct ternary_counts counts;
    float scale;
    struct ternarize_job job = {
        .dtype = dtype,
        .count = 1,
        .group_len = (size_t)length,
        .divisor = (size_t)divisor,
        .in = latents,
        .encoding = TRIT_ENCODING_DENSE,
        .scales = &scale,
        .codes = codes,
        .tally = TALLY_NONE,
    };

    ternary_counts_init(&counts);
    ternarize(kernels, &job, &counts);
    return scale;
}

float group_claimed_scale(const float *values, uint64_t length)
{
    float largest = 0;

    for (uint64_t i = 0; i < length; i++)
        largest = fmaxf(largest, fabsf(values[i]));
    return largest;
}
