/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of magnitudes without conversions. A float's bits without the sign, moved so that
 * its exponent's lowest bit meets that of an f64, are the f64 of the same magnitude
 * scaled by a power of two: 2^-896 for f32 and bf16, 2^-1008 for f16; subnormals too,
 * since both formats let the exponent field 0 mean the least exponent without the leading
 * one. Scaling by a power of two commutes with rounding (README.md says why also where
 * f64 is subnormal), so the scaled sum is the canonical one. What is lost is infinity and
 * NaN: they become finite, but not below the sum where the body looks again.
 * Sixteen elements of a 16-bit type are vector_sums_whole.h's where they fill whole
 * vectors.
 *
 * Shift and mask run where convert and add do not: a third faster than converting. */
#ifndef KERNELS_VECTOR_SUMS_H
#define KERNELS_VECTOR_SUMS_H

#include "kernels/simd/vectors.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "even elements are low halves");

/* Where an f64 keeps the bits of a magnitude. */
static inline uint64_t sum_mask(enum trit_dtype dtype)
{
    return dtype == TRIT_F32    ? 0x7fffffffull << 29
           : dtype == TRIT_BF16 ? 0x7fffull << 45
                                : 0x7fffull << 42;
}

/* What undoes the scaling; for f16 to be applied twice: 2^1008 twice over 2^504. */
static inline double sum_unscale(enum trit_dtype dtype)
{
    return dtype == TRIT_F16 ? 0x1p504 : 0x1p896;
}

/* v[2i] the even, v[2i + 1] the odd elements of the i-th vector of sixteen. */
static inline abs_sum abs_sum_add_f32(abs_sum sum, const uint8_t *p)
{
    const u64v mask = (u64v){0} + sum_mask(TRIT_F32);
    for (size_t i = 0; i < WIDE_VECTORS; i++) {
        u64v x = *(const u64v_unaligned *)(const void *)(p + i * VECTOR_BYTES);
        OPTIMIZER_BARRIER(x); /* or gcc loads it for each use */
        sum.v[2 * i] += (f64v)(x << 29 & mask);
        sum.v[2 * i + 1] += (f64v)(x >> 3 & mask);
    }
    return sum;
}

#endif
