/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary of products in AVX-512 (F, BW, DQ, VL, VNNI). */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef __m512 f32x16;
typedef __m512i i32x16;

enum {
    F32_TILES = 4,
    F32_MANY_TILES = 2,
    F32_MANY = 4,
    INT8_TILES = 1,
    INT8_MANY_TILES = 4,
    INT8_MANY = 4,
};

static inline f32x16 f32x16_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void f32x16_store(float *p, f32x16 v)
{
    _mm512_storeu_ps(p, v);
}

static inline f32x16 f32x16_splat(float x)
{
    return _mm512_set1_ps(x);
}

static inline f32x16 f32x16_zero(void)
{
    return _mm512_setzero_ps();
}

static inline f32x16 f32x16_add(f32x16 a, f32x16 b)
{
    return _mm512_add_ps(a, b);
}

static inline f32x16 f32x16_mul(f32x16 a, f32x16 b)
{
    return _mm512_mul_ps(a, b);
}

static inline f32x16 f32x16_fma(f32x16 a, f32x16 b, f32x16 c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline f32x16 f32x16_of_i32(i32x16 words)
{
    return _mm512_cvtepi32_ps(words);
}

/* Fours of rows within each 128 bits, then the 128 bits themselves. */
static inline __attribute__((always_inline)) void f32x16_transpose(f32x16 v[16])
{
    __m512 fours[16];
    for (int b = 0; b < 16; b += 4) {
        const __m512d low0 = _mm512_castps_pd(_mm512_unpacklo_ps(v[b], v[b + 1]));
        const __m512d high0 = _mm512_castps_pd(_mm512_unpackhi_ps(v[b], v[b + 1]));
        const __m512d low1 = _mm512_castps_pd(_mm512_unpacklo_ps(v[b + 2], v[b + 3]));
        const __m512d high1 = _mm512_castps_pd(_mm512_unpackhi_ps(v[b + 2], v[b + 3]));
        fours[b] = _mm512_castpd_ps(_mm512_unpacklo_pd(low0, low1));
        fours[b + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low0, low1));
        fours[b + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high0, high1));
        fours[b + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high0, high1));
    }
    for (int j = 0; j < 4; j++) {
        const __m512 a = _mm512_shuffle_f32x4(fours[j], fours[4 + j], 0x88);
        const __m512 b = _mm512_shuffle_f32x4(fours[j], fours[4 + j], 0xdd);
        const __m512 c = _mm512_shuffle_f32x4(fours[8 + j], fours[12 + j], 0x88);
        const __m512 d = _mm512_shuffle_f32x4(fours[8 + j], fours[12 + j], 0xdd);
        v[j] = _mm512_shuffle_f32x4(a, c, 0x88);
        v[4 + j] = _mm512_shuffle_f32x4(b, d, 0x88);
        v[8 + j] = _mm512_shuffle_f32x4(a, c, 0xdd);
        v[12 + j] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
}

static inline f32x16 f32x16_lookup(f32x16 table, i32x16 words)
{
    return _mm512_permutexvar_ps(words, table);
}

static inline i32x16 i32x16_load(const uint8_t *p)
{
    return _mm512_load_si512(p);
}

static inline i32x16 i32x16_splat(int32_t word)
{
    return _mm512_set1_epi32(word);
}

static inline i32x16 i32x16_shr(i32x16 v, int n)
{
    return _mm512_srli_epi32(v, (unsigned)n);
}

static inline i32x16 i32x16_unpack_row(uint32_t word)
{
    const __m512i places =
        _mm512_setr_epi32(0, 8, 16, 24, 2, 10, 18, 26, 4, 12, 20, 28, 6, 14, 22, 30);
    return _mm512_srlv_epi32(_mm512_set1_epi32((int)word), places);
}

/* Four columns of q, as every lane wants them. */
static inline i32x16 four_of(const int8_t *q)
{
    return _mm512_set1_epi32(_mm_cvtsi128_si32(_mm_loadu_si32(q)));
}

/* One row of x: codes are not shifted but multiplied where they stand, 4^k fold, and
 * the sums, exact, are brought together at the end. */
static inline __attribute__((always_inline)) void
dots_in_place(i32x16 *dots, const uint8_t *codes, uint64_t tile_bytes, const int8_t *q,
              uint64_t units, const size_t tiles)
{
    i32x16 sums[8][4];
    for (size_t t = 0; t < tiles; t++)
        for (size_t k = 0; k < 4; k++)
            sums[t][k] = _mm512_setzero_si512();
    for (uint64_t u = 0; u < units; u++, codes += 64, q += 16) {
        const i32x16 x[4] = {four_of(q), four_of(q + 4), four_of(q + 8), four_of(q + 12)};
        for (size_t t = 0; t < tiles; t++) {
            const i32x16 words = i32x16_load(codes + t * tile_bytes);
            _mm_prefetch((const char *)codes + t * tile_bytes + 4096, _MM_HINT_T0);
            for (size_t k = 0; k < 4; k++) {
                const i32x16 mask = _mm512_set1_epi8((char)(3 << 2 * k));
                sums[t][k] =
                    _mm512_dpbusd_epi32(sums[t][k], _mm512_and_si512(words, mask), x[k]);
            }
        }
    }
    for (size_t t = 0; t < tiles; t++) {
        const i32x16 low = _mm512_add_epi32(sums[t][0], _mm512_srai_epi32(sums[t][1], 2));
        const i32x16 high = _mm512_add_epi32(_mm512_srai_epi32(sums[t][2], 4),
                                             _mm512_srai_epi32(sums[t][3], 6));
        dots[t] = _mm512_add_epi32(dots[t], _mm512_add_epi32(low, high));
    }
}

static inline __attribute__((always_inline)) void
i32x16_dot_i8(i32x16 *dots, const uint8_t *codes, uint64_t tile_bytes, const int8_t *q,
              uint64_t q_stride, uint64_t units, const size_t tiles, const size_t many)
{
    if (many == 1) {
        dots_in_place(dots, codes, tile_bytes, q, units, tiles);
        return;
    }
    const i32x16 mask = _mm512_set1_epi8(3);
    for (uint64_t u = 0; u < units; u++, codes += 64, q += 16)
        for (int k = 0; k < 4; k++) {
            i32x16 places[8];
            for (size_t t = 0; t < tiles; t++)
                places[t] = _mm512_and_si512(
                    i32x16_shr(i32x16_load(codes + t * tile_bytes), 2 * k), mask);
            for (size_t n = 0; n < many; n++) {
                const i32x16 x = four_of(q + n * q_stride + 4 * k);
                for (size_t t = 0; t < tiles; t++)
                    dots[t * many + n] =
                        _mm512_dpbusd_epi32(dots[t * many + n], places[t], x);
            }
        }
}

#include "kernels/linear/body.h"

const struct linear_table linear_avx512 = LINEAR_TABLE;

#else
typedef int linear_no_avx512_here;
#endif
