/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512, a template (typed.h): the survey of a group (avx512_body_survey.h). */

#if ELEMENT_BYTES == 4

/* Adds the magnitudes beyond the threshold: as integers in sum[0], or the upper 12 bits of
 * each in sum[0] and what is missing from them in sum[1]. */
static inline __attribute__((always_inline)) void survey_sum(f32v sum[2], __m512i key,
                                                             __mmask16 beyond,
                                                             f32v factor,
                                                             enum survey_detail detail)
{
    if (detail == SURVEY_INTEGERS) {
        sum[0] = (f32v)_mm512_add_epi32(
            (__m512i)sum[0], _mm512_maskz_cvtps_epu32(beyond, (f32v)key * factor));
        return;
    }
    const f32v high = (f32v)_mm512_and_si512(key, _mm512_set1_epi32(0x7ffff000)),
               low = (f32v)key - high;
    sum[0] = _mm512_mask_add_ps(sum[0], beyond, sum[0], high);
    sum[1] = _mm512_mask_add_ps(sum[1], beyond, sum[1], low);
}

/* Surveys 16 elements, the i-th of the block; `singles`: their magnitudes, if sums are asked
 * for. */
static inline __attribute__((always_inline)) void
survey_add(struct survey *to, size_t i, f32v sum[2], const uint8_t *in,
           const float *singles, thresholds keys, f32v factor, enum survey_detail detail)
{
    const __m512i x = _mm512_loadu_si512(in);
    const __m512i key = detail >= SURVEY_SUMS
                            ? _mm512_load_si512(singles)
                            : _mm512_and_si512(x, _mm512_set1_epi32(0x7fffffff));
    const __mmask16 beyond = _mm512_cmpgt_epi32_mask(key, (__m512i)keys.half);
    store_mask16(&to->beyond[i], beyond);
    store_mask16(&to->minus[i], _mm512_movepi32_mask(x));
    if (detail >= SURVEY_NEAR)
        store_mask16(&to->near[i],
                     _mm512_cmpgt_epi32_mask((__m512i)keys.end,
                                             _mm512_add_epi32(key, (__m512i)keys.shift)));
    if (detail >= SURVEY_SUMS)
        survey_sum(sum, key, beyond, factor, detail);
}

#else

/* Surveys 32 elements; those beyond the threshold are summed as f32, the others as 0. */
static inline __attribute__((always_inline)) void
survey_add(struct survey *to, size_t i, f32v sum[2], const uint8_t *in,
           const float *singles, thresholds keys, f32v factor, enum survey_detail detail)
{
    (void)singles, (void)factor;
    const __m512i x = _mm512_loadu_si512(in);
    const __m512i key = _mm512_and_si512(x, _mm512_set1_epi16(0x7fff));
    const __mmask32 beyond = _mm512_cmpgt_epi16_mask(key, (__m512i)keys.half);
    f32v wide[2];
    store_mask32(&to->beyond[2 * i], beyond);
    store_mask32(&to->minus[2 * i], _mm512_movepi16_mask(x));
    if (detail >= SURVEY_NEAR)
        store_mask32(&to->near[2 * i],
                     _mm512_cmpgt_epi16_mask((__m512i)keys.end,
                                             _mm512_add_epi16(key, (__m512i)keys.shift)));
    if (detail < SURVEY_SUMS)
        return;
    exact_parts(wide, (keyv)_mm512_maskz_mov_epi16(beyond, key));
    sum[0] += wide[0];
    sum[1] += wide[1];
}

#endif

/* Surveys group g, of `units` units. */
static inline __attribute__((always_inline)) void
survey_group(struct survey *to, size_t g, size_t units, const uint8_t *in,
             const float *singles, const struct keys *keys, enum survey_detail detail)
{
    const thresholds all = thresholds_of(keys, g);
    const f32v factor =
        detail == SURVEY_INTEGERS ? to->factors[g] - (f32v){0} : (f32v){0};
    f32v sum[2] = {{0}, {0}};
    for (size_t i = 0; i < units * UNIT_VECTORS; i += UNIT_VECTORS)
        for (size_t k = 0; k < UNIT_VECTORS; k++)
            survey_add(to, g * units * UNIT_VECTORS + i + k, sum, in + (i + k) * 64,
                       singles + (detail >= SURVEY_SUMS ? (i + k) * STEP : 0), all,
                       factor, detail);
    if (detail < SURVEY_SUMS)
        return;
    to->high[g] = ELEMENT_BYTES == 4 ? sum[0] : (sum[0] + sum[1]) * (float)BEYOND_SCALE;
    to->low[g] = sum[1];
}
