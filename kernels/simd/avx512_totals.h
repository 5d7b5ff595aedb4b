/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512: how the sums and the unions of several groups are joined. Each step of the
 * canonical tree joins vectors of two groups' lanes into one. */
#ifndef KERNELS_AVX512_TOTALS_H
#define KERNELS_AVX512_TOTALS_H

#include "kernels/simd/avx512_codes.h"

/* Adds the halves of x, in the lower half, and those of y, in the upper half. */
static inline __m512d join_halves(__m512d x, __m512d y)
{
    return _mm512_add_pd(_mm512_shuffle_f64x2(x, y, 0x44),
                         _mm512_shuffle_f64x2(x, y, 0xee));
}

/* Adds even and odd pairs of lanes; those of x come first. */
static inline __m512d join_pairs(__m512d x, __m512d y)
{
    return _mm512_add_pd(_mm512_shuffle_f64x2(x, y, 0x88),
                         _mm512_shuffle_f64x2(x, y, 0xdd));
}

/* Adds neighbouring lanes; the results of x and y alternate. */
static inline __m512d join_lanes(__m512d x, __m512d y)
{
    return _mm512_add_pd(_mm512_unpacklo_pd(x, y), _mm512_unpackhi_pd(x, y));
}

/* The totals of eight vectors, in their order. */
static inline __m512d eight_totals(const __m512d v[8])
{
    return join_lanes(join_pairs(join_halves(v[0], v[2]), join_halves(v[4], v[6])),
                      join_pairs(join_halves(v[1], v[3]), join_halves(v[5], v[7])));
}

/* For f32: the even or the odd lanes of eight groups, added +8, +4, +2. */
static inline __m512d eight_halves(const struct partial from[8], size_t half)
{
    __m512d v[8];
    for (size_t g = 0; g < 8; g++)
        v[g] = _mm512_load_pd(from[g].lane + 8 * half);
    return eight_totals(v);
}

/* The canonical totals of lanes in their order. */
static inline void lane_totals(double to[BLOCK_GROUPS],
                               const struct partial from[BLOCK_GROUPS])
{
    for (size_t at = 0; at < BLOCK_GROUPS; at += 8) {
        __m512d v[8];
        for (size_t g = 0; g < 8; g++)
            v[g] = _mm512_add_pd(_mm512_load_pd(from[at + g].lane),
                                 _mm512_load_pd(from[at + g].lane + 8));
        _mm512_storeu_pd(to + at, eight_totals(v));
    }
}

/* For 16-bit types: half of the lanes of four groups, added +8, +4. */
static inline __m512d four_classes(const struct partial from[4], size_t half)
{
    __m512d v[4];
    for (size_t g = 0; g < 4; g++)
        v[g] = _mm512_load_pd(from[g].lane + 8 * half);
    return join_lanes(join_pairs(v[0], v[2]), join_pairs(v[1], v[3]));
}

/* The sum and the number of magnitudes beyond a bar. */
typedef struct {
    f64x16 sum;
    uint64_t count;
} beyond_sum;

static inline beyond_sum beyond_sum_zero(void)
{
    return (beyond_sum){f64x16_zero(), 0};
}

static inline beyond_sum beyond_sum_add(beyond_sum to, const double lanes[LANES],
                                        f64v bar)
{
    for (size_t k = 0; k < EXACT_VECTORS; k++) {
        const f64v a = f64v_load(lanes + 8 * k);
        const __mmask8 is = _mm512_cmp_pd_mask(a, bar, _CMP_GT_OQ);
        to.sum.v[k] = _mm512_mask_add_pd(to.sum.v[k], is, to.sum.v[k], a);
        to.count += (uint64_t)_mm_popcnt_u32(is);
    }
    return to;
}

static inline uint64_t beyond_sum_count(beyond_sum from)
{
    return from.count;
}

/* Joins the halves of two groups' unions, then the quarters of four, and so on, as sums
 * are joined. */
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

#endif
