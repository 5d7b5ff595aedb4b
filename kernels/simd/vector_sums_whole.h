/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of magnitudes where sixteen elements of any type fill whole vectors. */
#ifndef KERNELS_VECTOR_SUMS_WHOLE_H
#define KERNELS_VECTOR_SUMS_WHOLE_H

#include "kernels/simd/vector_sums.h"

/* Four elements in each 64 bits: v[4i + k] has the i-th vector's k, k + 4, ... */
static inline abs_sum abs_sum_add_16bit(abs_sum sum, const uint8_t *p,
                                        enum trit_dtype dtype)
{
    const u64v mask = (u64v){0} + sum_mask(dtype);
    const int first = dtype == TRIT_BF16 ? 45 : 42;
    for (size_t i = 0; i < WIDE_VECTORS / 2; i++) {
        const u64v x = *(const u64v_unaligned *)(const void *)(p + i * VECTOR_BYTES);
        sum.v[4 * i] += (f64v)(x << first & mask);
        sum.v[4 * i + 1] += (f64v)(x << (first - 16) & mask);
        sum.v[4 * i + 2] += (f64v)(x << (first - 32) & mask);
        sum.v[4 * i + 3] += (f64v)(x >> (48 - first) & mask);
    }
    return sum;
}

static inline abs_sum abs_sum_add(abs_sum sum, const uint8_t *p, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? abs_sum_add_f32(sum, p) : abs_sum_add_16bit(sum, p, dtype);
}

#endif
