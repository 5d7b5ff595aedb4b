/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary in AVX-512 (F, BW, DQ, VL, VBMI, VBMI2) and BMI2. Its shape differs from
 * the others' where comparisons end in mask registers, and codes in general ones. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/simd/avx512_codes.h"
#include "kernels/ternary/table.h"

static inline f32x16 f32x16_load(const uint8_t *p, enum trit_dtype dtype)
{
    if (dtype == TRIT_F32)
        return (f32x16){{_mm512_loadu_ps(p)}};
    const __m256i half = _mm256_loadu_si256((const __m256i *)(const void *)p);
    if (dtype == TRIT_F16)
        return (f32x16){{_mm512_cvtph_ps(half)}};
    return (f32x16){
        {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16))}};
}

static inline void f32x16_store(uint8_t *p, f32x16 v, enum trit_dtype dtype)
{
    __m256i *half = (__m256i *)(void *)p;
    if (dtype == TRIT_F16)
        _mm256_storeu_si256(half, _mm512_cvtps_ph(v.v[0], _MM_FROUND_TO_NEAREST_INT));
    else if (dtype == TRIT_BF16)
        _mm256_storeu_si256(half, _mm512_cvtepi32_epi16(_mm512_srli_epi32(
                                      _mm512_castps_si512(v.v[0]), 16)));
    else
        _mm512_storeu_ps(p, v.v[0]);
}

static inline void unit_stream(uint8_t *p, unit u, enum trit_dtype dtype)
{
    for (size_t k = 0; k < vectors_of(dtype); k++)
        _mm512_stream_si512((__m512i *)(void *)(p + 64 * k), (__m512i)u.r[k]);
}

static inline void unit_stream_fence(void)
{
    _mm_sfence();
}

static inline f64v f64v_widen_low(f32v v)
{
    return _mm512_cvtps_pd(_mm512_castps512_ps256(v));
}

static inline f64v f64v_widen_high(f32v v)
{
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
}

static inline f32v f32v_narrow(f64v low, f64v high)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)),
                              _mm512_cvtpd_ps(high), 1);
}

static inline f32v f32v_round_to_f16(f32v v)
{
    return _mm512_cvtph_ps(_mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

#include "kernels/ternary/body.h"

const struct kernels kernels_avx512 = {
    "avx512",
    ternarize_groups,
    verify_groups,
    unpack_groups,
};

#else
typedef int kernels_no_avx512_here;
#endif
