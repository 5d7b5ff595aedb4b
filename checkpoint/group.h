/* SPDX-License-Identifier: Apache-2.0 */
/* One group of latents, and the same group of a claim whose values t*s are known. */
#ifndef CHECKPOINT_GROUP_H
#define CHECKPOINT_GROUP_H

#include <stdint.h>

#include "kernels/kernels.h"

/* Projects the group within kernels_enter. Gives its scale, and its codes, 2 bits each.
 * `divisor`: of the mean magnitude. */
float group_project(const struct kernels *kernels, enum trit_dtype dtype,
                    const void *latents, uint64_t length, uint64_t divisor,
                    uint8_t *codes);

/* -1, 0 or +1. */
static inline int group_trit(const uint8_t *codes, uint64_t index)
{
    return (int)(codes[index / 4] >> 2 * (index % 4) & 3) - 1;
}

static inline int group_sign(float value)
{
    return value > 0 ? 1 : value < 0 ? -1 : 0;
}

/* The scale of the claim: the largest magnitude of its values. */
float group_claimed_scale(const float *values, uint64_t length);

#endif
