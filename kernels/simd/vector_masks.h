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
typedef i32v near_count; /* counts, 32 bits a lane */
typedef i32v equality;   /* lanes that differ are -1 */

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
