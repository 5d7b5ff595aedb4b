/* SPDX-License-Identifier: Apache-2.0 */
/* Comparisons whose outcome is a vector, all ones or none in each element: every machine
 * but one with mask registers. The words are body.h's. */
#ifndef KERNELS_VECTOR_MASKS_H
#define KERNELS_VECTOR_MASKS_H

#include "kernels/simd/vectors.h"

/* t, which has no sign, with that of u; a machine may have one instruction for it. */
#ifndef WITH_SIGN
#define WITH_SIGN(t, u, sign) ((t) | ((u) & (sign)))
#endif

typedef struct {
    i32v m[UNIT_VECTORS]; /* as the unit's vectors */
} mask64;
typedef i32v residue;
typedef i32v near_count; /* counts, 32 bits a lane */

static inline i32v greater(i32v a, i32v b, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? a > b : (i32v)((i16v)a > (i16v)b);
}

static inline i32v equal(i32v a, i32v b, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? a == b : (i32v)((i16v)a == (i16v)b);
}

static inline mask64 unit_above_half_scale(unit u, thresholds k, enum trit_dtype dtype)
{
    mask64 m;
    for (size_t i = 0; i < vectors_of(dtype); i++)
        m.m[i] = greater(keys_of(u.r[i], dtype), k.half, dtype);
    return m;
}

static inline unit unit_dequantize(unit u, thresholds k, enum trit_dtype dtype)
{
    const mask64 m = unit_above_half_scale(u, k, dtype);
    for (size_t i = 0; i < vectors_of(dtype); i++)
        u.r[i] = WITH_SIGN(m.m[i] & k.s, u.r[i], sign_bits(dtype));
    return u;
}

static inline mask64 unit_equals_scale(unit u, thresholds k, enum trit_dtype dtype)
{
    mask64 m;
    for (size_t i = 0; i < vectors_of(dtype); i++) {
        m.m[i] = equal(keys_of(u.r[i], dtype), k.s, dtype);
        OPTIMIZER_BARRIER(m.m[i]); /* or gcc blends by it where ands would do */
    }
    return m;
}

static inline residue residue_zero(void)
{
    return splat(0);
}

static inline residue residue_add(residue x, unit u, mask64 m, thresholds k,
                                  enum trit_dtype dtype)
{
    (void)k;
    for (size_t i = 0; i < vectors_of(dtype); i++)
        x |= keys_of(u.r[i], dtype) & ~m.m[i];
    return x;
}

static inline near_count near_count_zero(void)
{
    return splat(0);
}

static inline near_count near_count_add(near_count n, unit u, thresholds k,
                                        enum trit_dtype dtype)
{
    i32v minus = splat(0);
    for (size_t i = 0; i < vectors_of(dtype); i++)
        minus = sum_of(
            minus, greater(k.end, sum_of(keys_of(u.r[i], dtype), k.shift, dtype), dtype),
            dtype);
    if (dtype != TRIT_F32) /* both halves of a lane, with sign */
        minus = ((i32v)((u32v)minus << 16) >> 16) + (minus >> 16);
    return n - minus;
}

static inline uint64_t near_count_total(near_count n)
{
    uint64_t total = 0;
    for (size_t i = 0; i < STEP; i++)
        total += (uint32_t)n[i];
    return total;
}

#endif
