/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512: sums of 16-bit elements, which half a vector holds sixteen of; and what
 * several groups are brought to at once, their sums' totals and their unions: each step
 * of the canonical tree joins two vectors of several groups' lanes into one, so that a
 * block's totals take a third of what one group after another would. */
#ifndef KERNELS_AVX512_TOTALS_H
#define KERNELS_AVX512_TOTALS_H

#include <immintrin.h>
#include <stddef.h>

enum { VECTOR_BYTES = 64 };

#include "kernels/simd/vector_sums.h"

/* Four elements in each 64 bits, twice: the first half turns its first or third to where
 * f64 has its bits, the second half its second or fourth. So v[0] has lanes 0, 4, 8, 12
 * and then 1, 5, 9, 13; v[1] 2, 6, 10, 14 and then 3, 7, 11, 15. */
static inline abs_sum abs_sum_add_half(abs_sum sum, const uint8_t *p,
                                       enum trit_dtype dtype)
{
    const __m512i x =
        _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)p));
    const __m512i mask = _mm512_set1_epi64((int64_t)sum_mask(dtype));
    const int64_t first = dtype == TRIT_BF16 ? 45 : 42, second = first - 16,
                  third = first - 32, fourth = first + 16;
    const __m512i a =
        _mm512_setr_epi64(first, first, first, first, second, second, second, second);
    const __m512i b =
        _mm512_setr_epi64(third, third, third, third, fourth, fourth, fourth, fourth);
    sum.v[0] += (f64v)_mm512_and_si512(_mm512_rolv_epi64(x, a), mask);
    sum.v[1] += (f64v)_mm512_and_si512(_mm512_rolv_epi64(x, b), mask);
    return sum;
}

static inline abs_sum abs_sum_add(abs_sum sum, const uint8_t *p, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? abs_sum_add_f32(sum, p) : abs_sum_add_half(sum, p, dtype);
}

/* x's halves added below, y's above. */
static inline __m512d join_halves(__m512d x, __m512d y)
{
    return _mm512_add_pd(_mm512_shuffle_f64x2(x, y, 0x44),
                         _mm512_shuffle_f64x2(x, y, 0xee));
}

/* The even and the odd pairs of lanes added, x's below, y's above. */
static inline __m512d join_pairs(__m512d x, __m512d y)
{
    return _mm512_add_pd(_mm512_shuffle_f64x2(x, y, 0x88),
                         _mm512_shuffle_f64x2(x, y, 0xdd));
}

/* Neighbouring lanes added, x's and y's in turn. */
static inline __m512d join_lanes(__m512d x, __m512d y)
{
    return _mm512_add_pd(_mm512_unpacklo_pd(x, y), _mm512_unpackhi_pd(x, y));
}

/* Half of a partial of eight groups, +8, +4, +2: even or odd lanes of f32. */
static inline __m512d eight_halves(const struct partial from[8], size_t half)
{
    __m512d v[8];
    for (size_t g = 0; g < 8; g++)
        v[g] = _mm512_load_pd(from[g].lane + 8 * half);
    return join_lanes(join_pairs(join_halves(v[0], v[2]), join_halves(v[4], v[6])),
                      join_pairs(join_halves(v[1], v[3]), join_halves(v[5], v[7])));
}

/* The same of four groups of a 16-bit type, +8, +4: both of its classes of lanes. */
static inline __m512d four_classes(const struct partial from[4], size_t half)
{
    __m512d v[4];
    for (size_t g = 0; g < 4; g++)
        v[g] = _mm512_load_pd(from[g].lane + 8 * half);
    return join_lanes(join_pairs(v[0], v[2]), join_pairs(v[1], v[3]));
}

static inline __m512d eight_totals(const struct partial from[8], enum trit_dtype dtype)
{
    if (dtype == TRIT_F32)
        return _mm512_add_pd(eight_halves(from, 0), eight_halves(from, 1));
    return join_pairs(
        _mm512_add_pd(four_classes(from, 0), four_classes(from, 1)),
        _mm512_add_pd(four_classes(from + 4, 0), four_classes(from + 4, 1)));
}

static inline struct totals abs_sum_reduce(double to[BLOCK_GROUPS],
                                           const struct partial from[BLOCK_GROUPS],
                                           double limit, enum trit_dtype dtype)
{
    const __m512d unscale = _mm512_set1_pd(sum_unscale(dtype));
    struct totals totals = {0, true};
    for (size_t g = 0; g < BLOCK_GROUPS; g += 8) {
        __m512d sums = _mm512_mul_pd(eight_totals(from + g, dtype), unscale);
        if (dtype == TRIT_F16)
            sums = _mm512_mul_pd(sums, unscale);
        totals.below &=
            _mm512_cmp_pd_mask(sums, _mm512_set1_pd(limit), _CMP_LT_OQ) == 0xff;
        totals.zeros |=
            (uint32_t)_mm512_cmp_pd_mask(sums, _mm512_setzero_pd(), _CMP_EQ_OQ) << g;
        _mm512_storeu_pd(to + g, sums);
    }
    return totals;
}

/* ---- unions ------------------------------------------------------------------------ */

/* The halves of two groups joined, the quarters of four, and so on: as sums are. */
static inline __m512i union_halves(const struct partial *from, size_t x, size_t y)
{
    const __m512i a = _mm512_load_si512(from[x].lane),
                  b = _mm512_load_si512(from[y].lane);
    return _mm512_or_si512(_mm512_shuffle_i32x4(a, b, 0x44),
                           _mm512_shuffle_i32x4(a, b, 0xee));
}

static inline __m512i union_quarters(const struct partial *from, size_t g)
{
    const __m512i x = union_halves(from, g, g + 4), y = union_halves(from, g + 8, g + 12);
    return _mm512_or_si512(_mm512_shuffle_i32x4(x, y, 0x88),
                           _mm512_shuffle_i32x4(x, y, 0xdd));
}

static inline __m512 union_eighths(const struct partial *from, size_t g)
{
    const __m512i x = union_quarters(from, g), y = union_quarters(from, g + 1);
    return _mm512_castsi512_ps(
        _mm512_or_si512(_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y)));
}

static inline void unit_reduce_unions(uint32_t to[BLOCK_GROUPS],
                                      const struct partial from[BLOCK_GROUPS],
                                      enum trit_dtype dtype)
{
    const __m512 x = union_eighths(from, 0), y = union_eighths(from, 2);
    __m512i bits = _mm512_castps_si512(
        _mm512_or_ps(_mm512_shuffle_ps(x, y, 0x88), _mm512_shuffle_ps(x, y, 0xdd)));
    if (dtype != TRIT_F32)
        bits = _mm512_and_si512(_mm512_or_si512(bits, _mm512_srli_epi32(bits, 16)),
                                _mm512_set1_epi32(0xffff));
    _mm512_storeu_si512(to, bits);
}

#endif
