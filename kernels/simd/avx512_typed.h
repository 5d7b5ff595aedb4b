/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512, a template (typed.h): stores past the caches, codes of a unit, totals of a
 * block. */

#include "kernels/simd/avx512_typed_masks.h"
#include "kernels/simd/avx512_typed_survey.h"
#include "kernels/simd/typed_sums.h"

static inline void unit_stream(uint8_t *p, unit u)
{
    for (size_t k = 0; k < UNIT_VECTORS; k++)
        _mm512_stream_si512((__m512i *)(void *)(p + 64 * k), (__m512i)u.r[k]);
}

/* ---- codes ------------------------------------------------------------------------- */

/* Taken as unsigned numbers, negative elements below -half are above the bits of -half:
 * no keys are needed. */
static inline codes64 unit_encode(unit u, mask64 m, thresholds k)
{
    const __m512i half = (__m512i)k.half;
    const __m512i minus = (__m512i)(k.half | (keyv)splat(ELEMENT_SIGNS));
    mask64 negative, positive;
    (void)m;
    for (size_t i = 0; i < UNIT_VECTORS; i++) {
        const __m512i x = (__m512i)u.r[i];
        positive.m[i] = keys_above(x, half);
        negative.m[i] = ELEMENT_BYTES == 4 ? _mm512_cmpgt_epu32_mask(x, minus)
                                           : _mm512_cmpgt_epu16_mask(x, minus);
    }
    return (codes64){mask64_bits(negative.m), mask64_bits(positive.m)};
}

/* Takes the positives from u: in a claim that is not exact, m is not everything that is
 * above half. */
static inline sign_tally sign_tally_add_unit(sign_tally tally, unit u, mask64 m,
                                             thresholds k)
{
    mask64 positive;
    for (size_t i = 0; i < UNIT_VECTORS; i++)
        positive.m[i] = keys_above((__m512i)u.r[i], (__m512i)k.half);
    tally.nonzeros += (uint64_t)_mm_popcnt_u64(mask64_bits(m.m));
    tally.positives += (uint64_t)_mm_popcnt_u64(mask64_bits(positive.m));
    return tally;
}

/* ---- totals of a block ------------------------------------------------------------- */

#if ELEMENT_BYTES == 4

static inline abs_sum abs_sum_add(abs_sum sum, const uint8_t *p)
{
    return abs_sum_add_vectors(sum, p);
}

/* The totals of eight groups. Each step of the canonical tree joins vectors of two
 * groups' lanes into one, which takes a third of the time of group after group. */
static inline __m512d abs_sum_totals(const struct partial from[8])
{
    return _mm512_add_pd(eight_halves(from, 0), eight_halves(from, 1));
}

#else

/* Sixteen elements are half a vector, loaded into both halves. In each 64 bits the lower
 * half rotates its first or third element to where an f64 has its bits, the upper half
 * its second or fourth. So v[0] has lanes 0, 4, 8, 12, 1, 5, 9, 13 and v[1] has lanes 2,
 * 6, 10, 14, 3, 7, 11, 15. */
static inline abs_sum abs_sum_add(abs_sum sum, const uint8_t *p)
{
    const __m512i x =
        _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)p));
    const __m512i mask = _mm512_set1_epi64((int64_t)(ELEMENT_KEY << SUM_SHIFT));
    const int64_t first = SUM_SHIFT, second = first - 16, third = first - 32,
                  fourth = first + 16;
    const __m512i a =
        _mm512_setr_epi64(first, first, first, first, second, second, second, second);
    const __m512i b =
        _mm512_setr_epi64(third, third, third, third, fourth, fourth, fourth, fourth);
    sum.v[0] += (f64v)_mm512_and_si512(_mm512_rolv_epi64(x, a), mask);
    sum.v[1] += (f64v)_mm512_and_si512(_mm512_rolv_epi64(x, b), mask);
    return sum;
}

static inline __m512d abs_sum_totals(const struct partial from[8])
{
    return join_pairs(
        _mm512_add_pd(four_classes(from, 0), four_classes(from, 1)),
        _mm512_add_pd(four_classes(from + 4, 0), four_classes(from + 4, 1)));
}

#endif

static inline struct totals abs_sum_reduce(double to[BLOCK_GROUPS],
                                           const struct partial from[BLOCK_GROUPS])
{
    const __m512d zero = _mm512_setzero_pd(), limit = _mm512_set1_pd(SUM_FINITE);
    struct totals totals = {0, true};
    for (size_t g = 0; g < BLOCK_GROUPS; g += 8) {
        const __m512d sums =
            _mm512_mul_pd(abs_sum_totals(from + g), _mm512_set1_pd(SUM_SCALE));
        totals.below &= _mm512_cmp_pd_mask(sums, limit, _CMP_LT_OQ) == 0xff;
        totals.zeros |= (uint32_t)_mm512_cmp_pd_mask(sums, zero, _CMP_EQ_OQ) << g;
        _mm512_storeu_pd(to + g, sums);
    }
    return totals;
}

static inline void unit_reduce_unions(uint32_t to[BLOCK_GROUPS],
                                      const struct partial from[BLOCK_GROUPS])
{
    const __m512 x = union_eighths(from, 0), y = union_eighths(from, 2);
    __m512i bits = _mm512_castps_si512(
        _mm512_or_ps(_mm512_shuffle_ps(x, y, 0x88), _mm512_shuffle_ps(x, y, 0xdd)));
    if (ELEMENT_BYTES == 2)
        bits = _mm512_and_si512(_mm512_or_si512(bits, _mm512_srli_epi32(bits, 16)),
                                _mm512_set1_epi32(0xffff));
    _mm512_storeu_si512(to, bits);
}
