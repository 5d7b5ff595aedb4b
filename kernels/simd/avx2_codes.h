/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2: codes as bytes, packed and counted, and how the sums of several groups are
 * joined. What depends on the element type is in avx2_typed.h. */
#ifndef KERNELS_AVX2_CODES_H
#define KERNELS_AVX2_CODES_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>

enum { VECTOR_BYTES = 32 };

#define F64V_WIDEN_AT(p) ((f64v)_mm256_cvtps_pd(_mm_loadu_ps(p)))

#include "kernels/simd/vector_masks.h"

typedef struct {
    __m256i a, b; /* bytes */
} codes64;
typedef struct {
    uint64_t negatives, positives;
} sign_tally;

static inline __m256i load256(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline void store256(void *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

/* ---- codes ------------------------------------------------------------------------- */

/* Restores the order of 32-bit pieces after two pack instructions. */
static inline __m256i unscramble(__m256i v)
{
    return _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

static inline codes64 codes64_load(const uint8_t *p)
{
    return (codes64){load256(p), load256(p + 32)};
}

static inline void codes64_store(uint8_t *p, codes64 c)
{
    store256(p, c.a);
    store256(p + 32, c.b);
}

static inline void codes64_store_trits(uint8_t *p, codes64 c)
{
    const __m256i minus_one = _mm256_set1_epi8(-1);
    store256(p, _mm256_add_epi8(c.a, minus_one));
    store256(p + 32, _mm256_add_epi8(c.b, minus_one));
}

/* c0 + 4 c1 + 16 c2 + 64 c3 in each 32-bit lane. */
static inline __m256i quads256(__m256i c)
{
    __m256i pairs = _mm256_maddubs_epi16(c, _mm256_set1_epi16(0x0401));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00100001));
}

static inline void codes64_pack_2bit(uint8_t *p, codes64 c)
{
    __m256i words = _mm256_packus_epi32(quads256(c.a), quads256(c.b));
    __m256i bytes = unscramble(_mm256_packus_epi16(words, words));
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(bytes));
}

static inline sign_tally sign_tally_zero(void)
{
    return (sign_tally){0, 0};
}

/* The highest bit of each byte. */
static inline uint64_t top_bits(__m256i a, __m256i b)
{
    return (uint32_t)_mm256_movemask_epi8(a) | (uint64_t)(uint32_t)_mm256_movemask_epi8(b)
                                                   << 32;
}

static inline sign_tally sign_tally_add(sign_tally tally, codes64 c)
{
    const __m256i zero = _mm256_setzero_si256();
    const uint64_t negative =
        top_bits(_mm256_cmpeq_epi8(c.a, zero), _mm256_cmpeq_epi8(c.b, zero));
    const uint64_t positive =
        top_bits(_mm256_slli_epi16(c.a, 6), _mm256_slli_epi16(c.b, 6));
    tally.negatives += (uint64_t)__builtin_popcountll(negative);
    tally.positives += (uint64_t)__builtin_popcountll(positive);
    return tally;
}

static inline void sign_tally_counts(sign_tally tally, size_t seen, uint64_t *negatives,
                                     uint64_t *positives)
{
    (void)seen;
    *positives = tally.positives;
    *negatives = tally.negatives;
}

/* ---- several groups ---------------------------------------------------------------- */

/* Adds the halves of x, in the lower half, and those of y, in the upper half. */
static inline __m256d join_halves(__m256d x, __m256d y)
{
    return _mm256_add_pd(_mm256_permute2f128_pd(x, y, 0x20),
                         _mm256_permute2f128_pd(x, y, 0x31));
}

/* Adds neighbouring lanes; the results of x and y alternate. */
static inline __m256d join_lanes(__m256d x, __m256d y)
{
    return _mm256_add_pd(_mm256_unpacklo_pd(x, y), _mm256_unpackhi_pd(x, y));
}

static inline __m256d four_lanes(const struct partial *from, size_t k)
{
    return _mm256_load_pd(from->lane + 4 * k);
}

/* Joins the halves of two groups' unions, then the quarters of four, as sums are joined.
 * */
static inline __m256i union_halves(const struct partial *from, size_t x, size_t y)
{
    const __m256i a = _mm256_castpd_si256(_mm256_load_pd(from[x].lane)),
                  b = _mm256_castpd_si256(_mm256_load_pd(from[y].lane));
    return _mm256_or_si256(_mm256_permute2x128_si256(a, b, 0x20),
                           _mm256_permute2x128_si256(a, b, 0x31));
}

static inline __m256 union_quarters(const struct partial *from, size_t g)
{
    const __m256i x = union_halves(from, g, g + 4), y = union_halves(from, g + 1, g + 5);
    return _mm256_castsi256_ps(
        _mm256_or_si256(_mm256_unpacklo_epi64(x, y), _mm256_unpackhi_epi64(x, y)));
}

#endif
