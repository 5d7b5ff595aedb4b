/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary of the products in AVX-512 (F, BW, DQ, VL, VNNI). */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define VECTOR_BYTES 64

#include "kernels/simd/vector_f32x16.h"
#include "kernels/simd/vector_transpose.h"

enum {
    F32_TILES = 4,
    F32_MANY_TILES = 2,
    F32_MANY = 4,
    INT8_MANY_TILES = 4,
    INT8_MANY = 4,
};

static inline f32x16 f32x16_fma(f32x16 a, f32x16 b, f32x16 c)
{
    return (f32x16){{_mm512_fmadd_ps(a.v[0], b.v[0], c.v[0])}};
}

static inline f32x16 f32x16_lookup(f32x16 table, i32x16 words)
{
    return (f32x16){{_mm512_permutexvar_ps((__m512i)words.v[0], table.v[0])}};
}

static inline i32v i32v_dot(i32v sum, i32v codes, i32v x)
{
    return (i32v)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)codes, (__m512i)x);
}

/* clang-format off */
#include "kernels/simd/vector_dots.h"
#include "kernels/linear/body.h"
/* clang-format on */

const struct linear_table linear_avx512 = LINEAR_TABLE;

#else
typedef int linear_no_avx512_here;
#endif
