/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2: what several groups are brought to at once, their sums' totals and their unions.
 * Each step of the canonical tree joins two vectors of several groups' lanes into one. */
#ifndef KERNELS_AVX2_TOTALS_H
#define KERNELS_AVX2_TOTALS_H

#include <immintrin.h>
#include <stddef.h>

enum { VECTOR_BYTES = 32 };

#include "kernels/simd/vector_sums_whole.h"

static inline __m256i load256(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline void store256(void *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

/* x's halves added below, y's above. */
static inline __m256d join_halves(__m256d x, __m256d y)
{
    return _mm256_add_pd(_mm256_permute2f128_pd(x, y, 0x20),
                         _mm256_permute2f128_pd(x, y, 0x31));
}

/* Neighbouring lanes added, x's and y's in turn. */
static inline __m256d join_lanes(__m256d x, __m256d y)
{
    return _mm256_add_pd(_mm256_unpacklo_pd(x, y), _mm256_unpackhi_pd(x, y));
}

static inline __m256d four_lanes(const struct partial *from, size_t k)
{
    return _mm256_load_pd(from->lane + 4 * k);
}

/* Even or odd lanes of four groups of f32: +8, +4, +2. */
static inline __m256d four_halves(const struct partial from[4], size_t k)
{
    __m256d v[4];
    for (size_t g = 0; g < 4; g++)
        v[g] = _mm256_add_pd(four_lanes(&from[g], k), four_lanes(&from[g], k + 2));
    return join_lanes(join_halves(v[0], v[2]), join_halves(v[1], v[3]));
}

/* One class of lanes of four groups of a 16-bit type: +8, +4. */
static inline __m256d four_classes(const struct partial from[4], size_t k)
{
    return join_lanes(join_halves(four_lanes(&from[0], k), four_lanes(&from[2], k)),
                      join_halves(four_lanes(&from[1], k), four_lanes(&from[3], k)));
}

static inline __m256d four_totals(const struct partial from[4], enum trit_dtype dtype)
{
    if (dtype == TRIT_F32)
        return _mm256_add_pd(four_halves(from, 0), four_halves(from, 1));
    return _mm256_add_pd(_mm256_add_pd(four_classes(from, 0), four_classes(from, 2)),
                         _mm256_add_pd(four_classes(from, 1), four_classes(from, 3)));
}

static inline struct totals abs_sum_reduce(double to[BLOCK_GROUPS],
                                           const struct partial from[BLOCK_GROUPS],
                                           double limit, enum trit_dtype dtype)
{
    const __m256d unscale = _mm256_set1_pd(sum_unscale(dtype));
    const __m256d zero = _mm256_setzero_pd(), below = _mm256_set1_pd(limit);
    struct totals totals = {0, true};
    for (size_t g = 0; g < BLOCK_GROUPS; g += 4) {
        __m256d sums = _mm256_mul_pd(four_totals(from + g, dtype), unscale);
        if (dtype == TRIT_F16)
            sums = _mm256_mul_pd(sums, unscale);
        totals.below &= _mm256_movemask_pd(_mm256_cmp_pd(sums, below, _CMP_LT_OQ)) == 0xf;
        totals.zeros |=
            (uint32_t)_mm256_movemask_pd(_mm256_cmp_pd(sums, zero, _CMP_EQ_OQ)) << g;
        _mm256_storeu_pd(to + g, sums);
    }
    return totals;
}

/* ---- unions ------------------------------------------------------------------------ */

/* The halves of two groups joined, the quarters of four: as sums are. */
static inline __m256i union_halves(const struct partial *from, size_t x, size_t y)
{
    const __m256i a = _mm256_castpd_si256(_mm256_load_pd(from[x].lane)),
                  b = _mm256_castpd_si256(_mm256_load_pd(from[y].lane));
    return _mm256_or_si256(_mm256_permute2x128_si256(a, b, 0x20),
                           _mm256_permute2x128_si256(a, b, 0x31));
}

static inline __m256 union_quarters(const struct partial *from, size_t g)
{
    const __m256i x = union_halves(from, g, g + 4), y = union_halves(from, g + 1, g + 5);
    return _mm256_castsi256_ps(
        _mm256_or_si256(_mm256_unpacklo_epi64(x, y), _mm256_unpackhi_epi64(x, y)));
}

static inline void unit_reduce_unions(uint32_t to[BLOCK_GROUPS],
                                      const struct partial from[BLOCK_GROUPS],
                                      enum trit_dtype dtype)
{
    for (size_t g = 0; g < BLOCK_GROUPS; g += 8) {
        const __m256 x = union_quarters(from + g, 0), y = union_quarters(from + g, 2);
        __m256i bits = _mm256_castps_si256(
            _mm256_or_ps(_mm256_shuffle_ps(x, y, 0x88), _mm256_shuffle_ps(x, y, 0xdd)));
        if (dtype != TRIT_F32)
            bits = _mm256_and_si256(_mm256_or_si256(bits, _mm256_srli_epi32(bits, 16)),
                                    _mm256_set1_epi32(0xffff));
        _mm256_storeu_si256((__m256i *)(void *)(to + g), bits);
    }
}

#endif
