/* Sums of magnitudes in AVX-512, and the totals of eight groups at once: each step of
 * the canonical tree joins two vectors of several groups' lanes into one, so that a
 * block's totals take a third of what one group after another would. */
#ifndef KERNELS_AVX512_SUMS_H
#define KERNELS_AVX512_SUMS_H

#include <immintrin.h>
#include <stddef.h>

#include "kernels/block.h"
#include "kernels/x86_sums.h"

/* f32: a the even lanes, b the odd ones. 16-bit types: a lanes 0, 4, 8, 12 and then 1, 5,
 * 9, 13; b lanes 2, 6, 10, 14 and then 3, 7, 11, 15. */
typedef struct {
    __m512d a, b;
} vs;

static inline vs vs_zero(void)
{
    return (vs){_mm512_setzero_pd(), _mm512_setzero_pd()};
}

static inline __m512d masked512(__m512i bits, int64_t mask)
{
    return _mm512_castsi512_pd(_mm512_and_si512(bits, _mm512_set1_epi64(mask)));
}

/* Four 16-bit elements in each 64 bits, twice: the first half turns its first or third to
 * where f64 has its bits, the second half its second or fourth. */
static inline vs vs_add_16bit(vs sum, const uint8_t *p, int64_t first, int64_t mask)
{
    const __m512i x =
        _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)p));
    const int64_t second = first - 16, third = first - 32, fourth = first + 16;
    const __m512i a =
        _mm512_setr_epi64(first, first, first, first, second, second, second, second);
    const __m512i b =
        _mm512_setr_epi64(third, third, third, third, fourth, fourth, fourth, fourth);
    sum.a = _mm512_add_pd(sum.a, masked512(_mm512_rolv_epi64(x, a), mask));
    sum.b = _mm512_add_pd(sum.b, masked512(_mm512_rolv_epi64(x, b), mask));
    return sum;
}

static inline vs vs_add(vs sum, const uint8_t *p, enum trit_dtype dtype)
{
    if (dtype == TRIT_BF16)
        return vs_add_16bit(sum, p, 45, bf16_mask);
    if (dtype == TRIT_F16)
        return vs_add_16bit(sum, p, 42, f16_mask);
    const __m512i x = _mm512_loadu_si512(p);
    sum.a = _mm512_add_pd(sum.a, masked512(_mm512_slli_epi64(x, 29), f32_mask));
    sum.b = _mm512_add_pd(sum.b, masked512(_mm512_srli_epi64(x, 3), f32_mask));
    return sum;
}

static inline void vs_keep(struct partial *to, vs sum)
{
    _mm512_store_pd(to->lane, sum.a);
    _mm512_store_pd(to->lane + 8, sum.b);
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

static inline struct totals vs_totals(double to[BLOCK_GROUPS],
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

#endif
