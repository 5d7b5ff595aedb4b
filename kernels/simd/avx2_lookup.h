/* SPDX-License-Identifier: Apache-2.0 */
/* Part of linear/avx2.c and linear/avx2_vnni.c: all but dot products of int8. A permute within
 * 128 bits takes the two bits of one code. So a table of two columns has a half for each. */
#ifndef KERNELS_AVX2_LOOKUP_H
#define KERNELS_AVX2_LOOKUP_H

#include <immintrin.h>

#define VECTOR_BYTES 32

#include "kernels/simd/vector_f32x16.h"

#define OWN_PAIRS

enum {
    F32_TILES = 1,
    F32_MANY_TILES = 1,
    F32_MANY = 4,
    INT8_MANY_TILES = 1,
    INT8_MANY = 4,
};

static inline f32x16 f32x16_fma(f32x16 a, f32x16 b, f32x16 c)
{
    EACH_VECTOR(c.v[i] = _mm256_fmadd_ps(a.v[i], b.v[i], c.v[i]))
    return c;
}

/* table[word & 3]. */
static inline f32x16 f32x16_lookup(f32x16 table, i32x16 words)
{
    EACH_VECTOR(table.v[i] = _mm256_permutevar_ps(table.v[i], (__m256i)words.v[i]))
    return table;
}

static inline f32x16 f32x16_pair_table(float low, float high)
{
    const f32v trits = {-1, 0, 1, 2, -1, 0, 1, 2};
    return (f32x16){{trits * low, trits * high}};
}

/* Adding rounds once: a product with t is exact. */
static inline f32x16 f32x16_lookup_pair(f32x16 table, i32x16 words)
{
    const f32x16 low = {{table.v[0], table.v[0]}}, high = {{table.v[1], table.v[1]}};
    const f32x16 other = f32x16_lookup(high, i32x16_shr(words, 2));
    return f32x16_add(f32x16_lookup(low, words), other);
}

#endif
