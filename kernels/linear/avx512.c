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

/* Four columns of q in every lane. */
static inline __m512i four_of(const int8_t *q)
{
    return _mm512_set1_epi32(_mm_cvtsi128_si32(_mm_loadu_si32(q)));
}

/* One row of x. Codes are not shifted: they are multiplied in place, as 4^k times the
 * code, and the exact sums are shifted at the end. */
static inline __attribute__((always_inline)) void
dots_in_place(i32x16 *dots, const uint8_t *codes, uint64_t tile_bytes, const int8_t *q,
              uint64_t units, const size_t tiles)
{
    i32v sums[8][4];
    for (size_t t = 0; t < tiles; t++)
        for (size_t k = 0; k < 4; k++)
            sums[t][k] = (i32v){0};
    for (uint64_t u = 0; u < units; u++, codes += 64, q += 16) {
        const __m512i x[4] = {four_of(q), four_of(q + 4), four_of(q + 8),
                              four_of(q + 12)};
        for (size_t t = 0; t < tiles; t++) {
            const __m512i words = _mm512_load_si512(codes + t * tile_bytes);
            _mm_prefetch((const char *)codes + t * tile_bytes + 4096, _MM_HINT_T0);
            for (size_t k = 0; k < 4; k++) {
                const __m512i mask = _mm512_set1_epi8((char)(3 << 2 * k));
                sums[t][k] = (i32v)_mm512_dpbusd_epi32(
                    (__m512i)sums[t][k], _mm512_and_si512(words, mask), x[k]);
            }
        }
    }
    for (size_t t = 0; t < tiles; t++)
        dots[t].v[0] +=
            (sums[t][0] + (sums[t][1] >> 2)) + ((sums[t][2] >> 4) + (sums[t][3] >> 6));
}

static inline __attribute__((always_inline)) void
i32x16_dot_i8(i32x16 *dots, const uint8_t *codes, uint64_t tile_bytes, const int8_t *q,
              uint64_t q_stride, uint64_t units, const size_t tiles, const size_t many)
{
    if (many == 1) {
        dots_in_place(dots, codes, tile_bytes, q, units, tiles);
        return;
    }
    const __m512i mask = _mm512_set1_epi8(3);
    for (uint64_t u = 0; u < units; u++, codes += 64, q += 16)
        for (int k = 0; k < 4; k++) {
            __m512i places[8];
            for (size_t t = 0; t < tiles; t++) {
                const i32x16 words =
                    i32x16_shr(i32x16_load(codes + t * tile_bytes), 2 * k);
                places[t] = _mm512_and_si512((__m512i)words.v[0], mask);
            }
            for (size_t n = 0; n < many; n++) {
                const __m512i x = four_of(q + n * q_stride + 4 * k);
                for (size_t t = 0; t < tiles; t++) {
                    i32v *dot = dots[t * many + n].v;
                    *dot = (i32v)_mm512_dpbusd_epi32((__m512i)*dot, places[t], x);
                }
            }
        }
}

#include "kernels/linear/body.h"

const struct linear_table linear_avx512 = LINEAR_TABLE;

#else
typedef int linear_no_avx512_here;
#endif
