/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2: the codes of a unit, as bytes: made, packed and counted. */
#ifndef KERNELS_AVX2_CODES_H
#define KERNELS_AVX2_CODES_H

#include "kernels/simd/avx2_totals.h"
#include "kernels/simd/vector_masks.h"

typedef struct {
    __m256i a, b; /* bytes */
} codes64;
typedef struct {
    uint64_t negatives, positives;
} sign_tally;

/* -t: beyond is -1, and psign negates where the element is negative. */
static inline __m256i minus_trits(unit u, mask64 m, size_t i, enum trit_dtype dtype)
{
    const __m256i bits = (__m256i)u.r[i], beyond = (__m256i)m.m[i];
    return dtype == TRIT_F32 ? _mm256_sign_epi32(beyond, bits)
                             : _mm256_sign_epi16(beyond, bits);
}

/* Undoes what two packs do to the order of 32-bit pieces. */
static inline __m256i unscramble(__m256i v)
{
    return _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

static inline __m256i codes256(unit u, mask64 m, size_t i, enum trit_dtype dtype)
{
    __m256i t[4];
    for (size_t k = 0; k < vectors_of(dtype) / 2; k++)
        t[k] = minus_trits(u, m, i + k, dtype);
    const __m256i bytes =
        dtype == TRIT_F32
            ? unscramble(_mm256_packs_epi16(_mm256_packs_epi32(t[0], t[1]),
                                            _mm256_packs_epi32(t[2], t[3])))
            : _mm256_permute4x64_epi64(_mm256_packs_epi16(t[0], t[1]), 0xd8);
    return _mm256_sub_epi8(_mm256_set1_epi8(1), bytes);
}

static inline codes64 unit_encode(unit u, mask64 m, thresholds k, enum trit_dtype dtype)
{
    (void)k;
    return (codes64){codes256(u, m, 0, dtype),
                     codes256(u, m, vectors_of(dtype) / 2, dtype)};
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

/* A bit for each byte's highest. */
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

/* Half a unit's elements as bytes in some order, their signs kept. */
static inline __m256i narrowed(const i32v *r, enum trit_dtype dtype)
{
    const __m256i a = (__m256i)r[0], b = (__m256i)r[1];
    if (dtype != TRIT_F32)
        return _mm256_packs_epi16(a, b);
    return _mm256_packs_epi16(_mm256_packs_epi32(a, b),
                              _mm256_packs_epi32((__m256i)r[2], (__m256i)r[3]));
}

static inline sign_tally sign_tally_add_unit(sign_tally tally, unit u, mask64 m,
                                             thresholds k, enum trit_dtype dtype)
{
    const size_t half = vectors_of(dtype) / 2;
    const uint64_t beyond = top_bits(narrowed(m.m, dtype), narrowed(m.m + half, dtype));
    const uint64_t minus = top_bits(narrowed(u.r, dtype), narrowed(u.r + half, dtype));
    (void)k;
    tally.negatives += (uint64_t)__builtin_popcountll(beyond & minus);
    tally.positives += (uint64_t)__builtin_popcountll(beyond & ~minus);
    return tally;
}

static inline void sign_tally_counts(sign_tally tally, size_t seen, uint64_t *negatives,
                                     uint64_t *positives)
{
    (void)seen;
    *positives = tally.positives;
    *negatives = tally.negatives;
}

#endif
