/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2, a template (typed.h): stores past the caches, codes of a unit, totals of a block. */

#include "kernels/simd/typed_masks.h"
#include "kernels/simd/typed_sums.h"

static inline void unit_stream(uint8_t *p, unit u)
{
    for (size_t i = 0; i < UNIT_VECTORS; i++)
        _mm256_stream_si256((__m256i *)(void *)(p + 32 * i), (__m256i)u.r[i]);
}

/* ---- codes ------------------------------------------------------------------------- */

/* -t: an element beyond half is -1 in m, which psign negates if the element is negative. */
static inline __m256i unit_trits(unit u, mask64 m, size_t i)
{
    const __m256i bits = (__m256i)u.r[i], beyond = (__m256i)m.m[i];
    return ELEMENT_BYTES == 4 ? _mm256_sign_epi32(beyond, bits)
                              : _mm256_sign_epi16(beyond, bits);
}

/* The codes of half a unit, whose vectors begin at i. */
static inline __m256i unit_half_codes(unit u, mask64 m, size_t i)
{
    __m256i t[4];
    for (size_t k = 0; k < UNIT_VECTORS / 2; k++)
        t[k] = unit_trits(u, m, i + k);
    const __m256i bytes =
        ELEMENT_BYTES == 4
            ? unscramble(_mm256_packs_epi16(_mm256_packs_epi32(t[0], t[1]),
                                            _mm256_packs_epi32(t[2], t[3])))
            : _mm256_permute4x64_epi64(_mm256_packs_epi16(t[0], t[1]), 0xd8);
    return _mm256_sub_epi8(_mm256_set1_epi8(1), bytes);
}

static inline codes64 unit_encode(unit u, mask64 m, thresholds k)
{
    (void)k;
    return (codes64){unit_half_codes(u, m, 0), unit_half_codes(u, m, UNIT_VECTORS / 2)};
}

/* Half a unit's elements as bytes in some order, their signs kept. */
static inline __m256i unit_half_narrow(const keyv *r)
{
    const __m256i a = (__m256i)r[0], b = (__m256i)r[1];
    if (ELEMENT_BYTES == 2)
        return _mm256_packs_epi16(a, b);
    return _mm256_packs_epi16(_mm256_packs_epi32(a, b),
                              _mm256_packs_epi32((__m256i)r[2], (__m256i)r[3]));
}

static inline sign_tally sign_tally_add_unit(sign_tally tally, unit u, mask64 m,
                                             thresholds k)
{
    const size_t half = UNIT_VECTORS / 2;
    const uint64_t beyond = top_bits(unit_half_narrow(m.m), unit_half_narrow(m.m + half));
    const uint64_t minus = top_bits(unit_half_narrow(u.r), unit_half_narrow(u.r + half));
    (void)k;
    tally.negatives += (uint64_t)__builtin_popcountll(beyond & minus);
    tally.positives += (uint64_t)__builtin_popcountll(beyond & ~minus);
    return tally;
}

/* ---- totals of a block ------------------------------------------------------------- */

static inline abs_sum abs_sum_add(abs_sum sum, const uint8_t *p)
{
    return abs_sum_add_vectors(sum, p);
}

/* The totals of four groups. Each step of the canonical tree joins vectors of two
 * groups' lanes into one. */
static inline __m256d abs_sum_totals(const struct partial from[4])
{
#if ELEMENT_BYTES == 4
    __m256d sums[2]; /* of even and of odd lanes: +8, +4, +2 */
    for (size_t k = 0; k < 2; k++) {
        __m256d v[4];
        for (size_t g = 0; g < 4; g++)
            v[g] = _mm256_add_pd(four_lanes(&from[g], k), four_lanes(&from[g], k + 2));
        sums[k] = join_lanes(join_halves(v[0], v[2]), join_halves(v[1], v[3]));
    }
    return _mm256_add_pd(sums[0], sums[1]);
#else
    __m256d sums[4]; /* of lanes k, k + 4, k + 8, k + 12: +8, +4 */
    for (size_t k = 0; k < 4; k++)
        sums[k] =
            join_lanes(join_halves(four_lanes(&from[0], k), four_lanes(&from[2], k)),
                       join_halves(four_lanes(&from[1], k), four_lanes(&from[3], k)));
    return _mm256_add_pd(_mm256_add_pd(sums[0], sums[2]),
                         _mm256_add_pd(sums[1], sums[3]));
#endif
}

static inline struct totals abs_sum_reduce(double to[BLOCK_GROUPS],
                                           const struct partial from[BLOCK_GROUPS])
{
    const __m256d zero = _mm256_setzero_pd(), limit = _mm256_set1_pd(SUM_FINITE);
    struct totals totals = {0, true};
    for (size_t g = 0; g < BLOCK_GROUPS; g += 4) {
        const __m256d sums =
            _mm256_mul_pd(abs_sum_totals(from + g), _mm256_set1_pd(SUM_SCALE));
        totals.below &= _mm256_movemask_pd(_mm256_cmp_pd(sums, limit, _CMP_LT_OQ)) == 0xf;
        totals.zeros |=
            (uint32_t)_mm256_movemask_pd(_mm256_cmp_pd(sums, zero, _CMP_EQ_OQ)) << g;
        _mm256_storeu_pd(to + g, sums);
    }
    return totals;
}

static inline void unit_reduce_unions(uint32_t to[BLOCK_GROUPS],
                                      const struct partial from[BLOCK_GROUPS])
{
    for (size_t g = 0; g < BLOCK_GROUPS; g += 8) {
        const __m256 x = union_quarters(from + g, 0), y = union_quarters(from + g, 2);
        __m256i bits = _mm256_castps_si256(
            _mm256_or_ps(_mm256_shuffle_ps(x, y, 0x88), _mm256_shuffle_ps(x, y, 0xdd)));
        if (ELEMENT_BYTES == 2)
            bits = _mm256_and_si256(_mm256_or_si256(bits, _mm256_srli_epi32(bits, 16)),
                                    _mm256_set1_epi32(0xffff));
        _mm256_storeu_si256((__m256i *)(void *)(to + g), bits);
    }
}
