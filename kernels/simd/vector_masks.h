/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes of comparisons where they are vectors: on every machine without mask
 * registers. The comparisons are in typed_masks.h. */
#ifndef KERNELS_VECTOR_MASKS_H
#define KERNELS_VECTOR_MASKS_H

#include "kernels/simd/vectors.h"

/* t, which has no sign, with the sign of u; a machine may have one instruction for it. */
#ifndef WITH_SIGN
#define WITH_SIGN(t, u, sign) ((t) | ((u) & (sign)))
#endif

typedef i32v residue;
typedef i32v near_count;  /* counts, 32 bits a lane */
typedef u64v found_count; /* in lanes of an element's width */
typedef i32v equality;    /* lanes that differ are -1 */

static inline residue residue_zero(void)
{
    return splat(0);
}

static inline near_count near_count_zero(void)
{
    return splat(0);
}

static inline uint64_t near_count_total(near_count n)
{
    uint64_t total = 0;
    for (size_t i = 0; i < STEP; i++)
        total += (uint32_t)n[i];
    return total;
}

static inline found_count found_zero(void)
{
    return (found_count){0};
}

/* The sum and the number of magnitudes beyond a bar. */
typedef struct {
    f64x16 sum;
    u64v count;
} beyond_sum;

static inline beyond_sum beyond_sum_zero(void)
{
    return (beyond_sum){f64x16_zero(), (u64v){0}};
}

static inline beyond_sum beyond_sum_add(beyond_sum to, const double lanes[LANES],
                                        f64v bar)
{
    for (size_t k = 0; k < EXACT_VECTORS; k++) {
        const f64v a = f64v_load(lanes + k * VECTOR_BYTES / 8);
        const u64v is = (u64v)(a > bar);
        to.sum.v[k] += f64v_where(is, a);
        to.count -= is;
    }
    return to;
}

static inline uint64_t beyond_sum_count(beyond_sum from)
{
    uint64_t count = 0;
    for (size_t i = 0; i < VECTOR_BYTES / 8; i++)
        count += from.count[i];
    return count;
}

static inline equality equality_all(void)
{
    return splat(0);
}

static inline equality equality_add_vector(equality e, f32v a, f32v b)
{
    return e | (i32v)(a != b);
}

static inline bool equality_holds(equality e)
{
    return is_none(e);
}

#endif
