/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary in AVX-512 (F, BW, DQ, VL, VBMI, VBMI2, VPOPCNTDQ) and BMI2. Unlike the
 * other ISAs, it compares into mask registers and keeps codes in general registers. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/simd/avx512_totals.h"
#include "kernels/ternary/table.h"

static inline f32x16 f32x16_load_f32(const uint8_t *p)
{
    return (f32x16){{_mm512_loadu_ps(p)}};
}

static inline __m256i load256(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

static inline void store256(uint8_t *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

static inline f32x16 f32x16_load_f16(const uint8_t *p)
{
    return (f32x16){{_mm512_cvtph_ps(load256(p))}};
}

static inline f32x16 f32x16_load_bf16(const uint8_t *p)
{
    const __m512i wide = _mm512_cvtepu16_epi32(load256(p));
    return (f32x16){{_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))}};
}

static inline void f32x16_store_f32(uint8_t *p, f32x16 v)
{
    _mm512_storeu_ps(p, v.v[0]);
}

static inline void f32x16_store_f16(uint8_t *p, f32x16 v)
{
    store256(p, _mm512_cvtps_ph(v.v[0], _MM_FROUND_TO_NEAREST_INT));
}

static inline void f32x16_store_bf16(uint8_t *p, f32x16 v)
{
    const __m512i bits = _mm512_castps_si512(v.v[0]);
    store256(p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16)));
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

static inline __m256i join_half(const uint8_t *from, size_t stride, size_t bytes)
{
    return bytes == 32
               ? _mm256_loadu_si256((const void *)from)
               : _mm256_loadu2_m128i((const void *)(from + stride), (const void *)from);
}

static inline u64v u64v_join(const uint8_t *from, size_t stride, size_t bytes)
{
    const __m256i low = join_half(from, stride, bytes);
    const __m256i high = join_half(from + 32 / bytes * stride, stride, bytes);
    return (u64v)_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

#include "kernels/simd/avx512_body_survey_totals.h"

#define VOCABULARY "kernels/simd/avx512_typed.h"
#include "kernels/ternary/body.h"

const struct kernels kernels_avx512 = KERNELS_TABLE("avx512");

#else
typedef int kernels_no_avx512_here;
#endif
