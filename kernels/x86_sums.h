/* Sums of magnitudes without conversions, for the x86 files. A float's bits without the
 * sign, moved so that its exponent's lowest bit meets that of an f64, are the f64 of
 * the same magnitude scaled by a power of two: 2^-896 for f32 and bf16, 2^-1008 for
 * f16; subnormals too, since both formats let the exponent field 0 mean the least
 * exponent without the leading one. Scaling by a power of two commutes with rounding
 * (README.md says why also where f64 is subnormal), so the scaled sum is the canonical
 * one. What is lost is infinity and NaN: they become finite, but not below
 * `magnitudes_limit`, where the body looks again.
 *
 * Shift and mask run where convert and add do not: a third faster than converting. */
#ifndef KERNELS_X86_SUMS_H
#define KERNELS_X86_SUMS_H

#include <immintrin.h>
#include <stdint.h>

#include "trit/types.h"

typedef struct {
    __m256d a, b, c, d;
} vs256;

static inline vs256 vs256_zero(void)
{
    __m256d z = _mm256_setzero_pd();
    return (vs256){z, z, z, z};
}

static inline __m256d masked256(__m256i bits, int64_t mask)
{
    return _mm256_castsi256_pd(_mm256_and_si256(bits, _mm256_set1_epi64x(mask)));
}

static const int64_t f32_mask = 0x7fffffffll << 29, bf16_mask = 0x7fffll << 45,
                     f16_mask = 0x7fffll << 42;

/* a, c: even and odd elements of the first eight; b, d: of the second. */
static inline vs256 vs256_add_f32(vs256 s, const uint8_t *p)
{
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
    s.a = _mm256_add_pd(s.a, masked256(_mm256_slli_epi64(x, 29), f32_mask));
    s.c = _mm256_add_pd(s.c, masked256(_mm256_srli_epi64(x, 3), f32_mask));
    s.b = _mm256_add_pd(s.b, masked256(_mm256_slli_epi64(y, 29), f32_mask));
    s.d = _mm256_add_pd(s.d, masked256(_mm256_srli_epi64(y, 3), f32_mask));
    return s;
}

/* a..d: elements 0..3 of each four. */
static inline vs256 vs256_add_bf16(vs256 s, const uint8_t *p)
{
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)p);
    s.a = _mm256_add_pd(s.a, masked256(_mm256_slli_epi64(x, 45), bf16_mask));
    s.b = _mm256_add_pd(s.b, masked256(_mm256_slli_epi64(x, 29), bf16_mask));
    s.c = _mm256_add_pd(s.c, masked256(_mm256_slli_epi64(x, 13), bf16_mask));
    s.d = _mm256_add_pd(s.d, masked256(_mm256_srli_epi64(x, 3), bf16_mask));
    return s;
}

static inline vs256 vs256_add_f16(vs256 s, const uint8_t *p)
{
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)p);
    s.a = _mm256_add_pd(s.a, masked256(_mm256_slli_epi64(x, 42), f16_mask));
    s.b = _mm256_add_pd(s.b, masked256(_mm256_slli_epi64(x, 26), f16_mask));
    s.c = _mm256_add_pd(s.c, masked256(_mm256_slli_epi64(x, 10), f16_mask));
    s.d = _mm256_add_pd(s.d, masked256(_mm256_srli_epi64(x, 6), f16_mask));
    return s;
}

static inline __m128d fold256(__m256d v)
{
    return _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
}

/* x's lanes added, and y's: the sum of x below, that of y above. */
static inline __m128d pair_sums(__m128d x, __m128d y)
{
    return _mm_add_pd(_mm_unpacklo_pd(x, y), _mm_unpackhi_pd(x, y));
}

static inline double both(__m128d v)
{
    return _mm_cvtsd_f64(_mm_add_sd(v, _mm_unpackhi_pd(v, v)));
}

/* The canonical tree: +8, +4, +2, +1. */
static inline double vs256_total(vs256 s, enum trit_dtype dtype)
{
    if (dtype == TRIT_F32) {
        __m128d even = fold256(_mm256_add_pd(s.a, s.b));
        __m128d odd = fold256(_mm256_add_pd(s.c, s.d));
        return both(pair_sums(even, odd)) * 0x1p896;
    }
    __m128d ab = pair_sums(fold256(s.a), fold256(s.b));
    __m128d cd = pair_sums(fold256(s.c), fold256(s.d));
    const double sum = both(_mm_add_pd(ab, cd));
    return dtype == TRIT_BF16 ? sum * 0x1p896 : sum * 0x1p504 * 0x1p504;
}

#endif
