/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512: the sums of a surveyed block (avx512_body_survey.h). */
#ifndef KERNELS_AVX512_BODY_SURVEY_TOTALS_H
#define KERNELS_AVX512_BODY_SURVEY_TOTALS_H

#include "kernels/simd/avx512_body_survey.h"

/* For half of the scale from 2^e on and below 2^(e+1), what is beyond it is whole multiples of
 * 2^(e-23). Returns the bits of 2^e; infinity where 2^(23-e) would be too large. */
static inline __m512i powers_below(const float half[BLOCK_GROUPS])
{
    const __m512i infinite = _mm512_set1_epi32(0x7f800000),
                  least = _mm512_set1_epi32(23 << 23),
                  powers = _mm512_and_si512(_mm512_loadu_si512(half), infinite);
    return _mm512_mask_mov_epi32(powers, _mm512_cmplt_epi32_mask(powers, least),
                                 infinite);
}

static inline void survey_find_factors(struct survey *to, const float half[BLOCK_GROUPS])
{
    const __m512i bits =
        _mm512_set1_epi32((int)((127u + 127 + 23) << 23)); /* of 2^23 / 2^e */
    _mm512_storeu_si512(to->factors, _mm512_sub_epi32(bits, powers_below(half)));
}

/* The total of each of 16 vectors, in their order, where no addition rounds. */
static inline f32v exact_totals(f32v v[16], bool integers)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24,
                                           26, 28, 30),
                  odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    for (size_t count = 16; count > 1; count /= 2)
        for (size_t i = 0; i < count; i += 2) {
            const f32v a = _mm512_permutex2var_ps(v[i], even, v[i + 1]),
                       b = _mm512_permutex2var_ps(v[i], odd, v[i + 1]);
            v[i / 2] = integers ? (f32v)((u32v)a + (u32v)b) : a + b;
        }
    return v[0];
}

/* The sum of what is beyond the threshold, for each group; `has_low`: in two parts. */
static inline void survey_totals(double to[BLOCK_GROUPS], struct survey *survey,
                                 bool has_low)
{
    const f32v high = exact_totals(survey->high, false),
               low = has_low ? exact_totals(survey->low, false) : (f32v){0};
    f64v_store(to, f64v_widen_low(high) + f64v_widen_low(low));
    f64v_store(to + 8, f64v_widen_high(high) + f64v_widen_high(low));
}

/* The same where integers were summed; not finite where half of the scale is too small. */
static inline void survey_integer_totals(double to[BLOCK_GROUPS], struct survey *survey,
                                         const float half[BLOCK_GROUPS])
{
    const __m512i totals = (__m512i)exact_totals(survey->high, true);
    const f32v powers = (f32v)powers_below(half);
    const f64v unit = f64v_splat(0x1p-23);
    f64v_store(to, (f64v)_mm512_cvtepu32_pd(_mm512_castsi512_si256(totals)) *
                       (f64v_widen_low(powers) * unit));
    f64v_store(to + 8, (f64v)_mm512_cvtepu32_pd(_mm512_extracti64x4_epi64(totals, 1)) *
                           (f64v_widen_high(powers) * unit));
}

#endif
