/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary in AVX2 and F16C. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/simd/avx2_codes.h"
#include "kernels/ternary/table.h"

static inline f32x16 f32x16_load_f32(const uint8_t *p)
{
    return (f32x16){
        {_mm256_castsi256_ps(load256(p)), _mm256_castsi256_ps(load256(p + 32))}};
}

static inline __m128i load128(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline f32x16 f32x16_load_f16(const uint8_t *p)
{
    return (f32x16){{_mm256_cvtph_ps(load128(p)), _mm256_cvtph_ps(load128(p + 16))}};
}

static inline __m256 bf16_to_ps(const uint8_t *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load128(p)), 16));
}

static inline f32x16 f32x16_load_bf16(const uint8_t *p)
{
    return (f32x16){{bf16_to_ps(p), bf16_to_ps(p + 16)}};
}

static inline void f32x16_store_f32(uint8_t *p, f32x16 v)
{
    store256(p, _mm256_castps_si256(v.v[0]));
    store256(p + 32, _mm256_castps_si256(v.v[1]));
}

static inline void f32x16_store_f16(uint8_t *p, f32x16 v)
{
    __m128i low = _mm256_cvtps_ph(v.v[0], _MM_FROUND_TO_NEAREST_INT);
    __m128i high = _mm256_cvtps_ph(v.v[1], _MM_FROUND_TO_NEAREST_INT);
    store256(p, _mm256_set_m128i(high, low));
}

static inline void f32x16_store_bf16(uint8_t *p, f32x16 v)
{
    __m256i a = _mm256_castps_si256(v.v[0]), b = _mm256_castps_si256(v.v[1]);
    __m256i top = _mm256_packus_epi32(_mm256_srli_epi32(a, 16), _mm256_srli_epi32(b, 16));
    store256(p, _mm256_permute4x64_epi64(top, 0xd8));
}

static inline void unit_stream_fence(void)
{
    _mm_sfence();
}

static inline u64v u64v_join(const uint8_t *from, size_t stride, size_t bytes)
{
    (void)bytes; /* 16 */
    return (u64v)_mm256_loadu2_m128i((const void *)(from + stride), (const void *)from);
}

static inline bool residue_none(residue x)
{
    return _mm256_testz_si256((__m256i)x, (__m256i)x);
}

static inline f64v f64v_widen_low(f32v v)
{
    return _mm256_cvtps_pd(_mm256_castps256_ps128(v));
}

static inline f64v f64v_widen_high(f32v v)
{
    return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
}

static inline f32v f32v_narrow(f64v low, f64v high)
{
    return _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low));
}

static inline f32v f32v_round_to_f16(f32v v)
{
    return _mm256_cvtph_ps(_mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

/* The canonical totals of lanes in their order. */
static inline void lane_totals(double to[BLOCK_GROUPS],
                               const struct partial from[BLOCK_GROUPS])
{
    for (size_t at = 0; at < BLOCK_GROUPS; at += 4) {
        __m256d v[4];
        for (size_t g = 0; g < 4; g++)
            v[g] = (__m256d)f64x16_fold(f64x16_load(from[at + g].lane));
        _mm256_storeu_pd(to + at,
                         join_lanes(join_halves(v[0], v[2]), join_halves(v[1], v[3])));
    }
}

#define VOCABULARY "kernels/simd/avx2_typed.h"
#include "kernels/ternary/body.h"

const struct kernels kernels_avx2 = KERNELS_TABLE("avx2");

#else
typedef int kernels_no_avx2_here;
#endif
