/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512: comparisons end in mask registers; the codes of a unit are two bits an
 * element in general ones: made, packed and counted. */
#ifndef KERNELS_AVX512_CODES_H
#define KERNELS_AVX512_CODES_H

#include "kernels/simd/avx512_masks.h"

typedef struct {
    uint64_t negative, positive; /* a bit an element */
} codes64;
typedef struct {
    uint64_t nonzeros, positives;
} sign_tally;

/* Keeps the compiler from joining masks where they are: that takes the ports that the
 * comparisons wait for. */
static inline uint64_t moved(__mmask32 m)
{
    uint64_t bits = m;
    __asm__("" : "+r"(bits));
    return bits;
}

static inline uint64_t joined(const __mmask32 m[4], enum trit_dtype dtype)
{
    if (dtype != TRIT_F32)
        return moved(m[0]) | moved(m[1]) << 32;
    return (moved(m[0]) | moved(m[1]) << 16) | (moved(m[2]) | moved(m[3]) << 16) << 32;
}

/* As numbers without sign, elements exceed half with a sign where they are below -half:
 * no key is needed. */
static inline codes64 unit_encode(unit u, mask64 m, thresholds k, enum trit_dtype dtype)
{
    const __m512i half = (__m512i)k.half, minus = (__m512i)(k.half | sign_bits(dtype));
    __mmask32 negative[UNIT_VECTORS], positive[UNIT_VECTORS];
    (void)m;
    for (size_t i = 0; i < vectors_of(dtype); i++) {
        const __m512i x = (__m512i)u.r[i];
        positive[i] = greater(x, half, dtype);
        negative[i] = dtype == TRIT_F32 ? _mm512_cmpgt_epu32_mask(x, minus)
                                        : _mm512_cmpgt_epu16_mask(x, minus);
    }
    return (codes64){joined(negative, dtype), joined(positive, dtype)};
}

static inline codes64 codes64_load(const uint8_t *p)
{
    const __m512i c = _mm512_loadu_si512(p);
    return (codes64){_mm512_cmpeq_epi8_mask(c, _mm512_setzero_si512()),
                     _mm512_cmpeq_epi8_mask(c, _mm512_set1_epi8(2))};
}

/* 0, 1, 2 or, `less` one, the trits. */
static inline __m512i code_bytes512(codes64 c, int8_t less)
{
    const __m512i one = _mm512_set1_epi8((char)(1 - less));
    const __m512i codes = _mm512_mask_sub_epi8(one, c.negative, one, _mm512_set1_epi8(1));
    return _mm512_mask_add_epi8(codes, c.positive, one, _mm512_set1_epi8(1));
}

static inline void codes64_store(uint8_t *p, codes64 c)
{
    _mm512_storeu_si512(p, code_bytes512(c, 0));
}

static inline void codes64_store_trits(uint8_t *p, codes64 c)
{
    _mm512_storeu_si512(p, code_bytes512(c, 1));
}

/* A code's low bit is set where it is 1, its high bit where it is 2. */
static inline void codes64_pack_2bit(uint8_t *p, codes64 c)
{
    const uint64_t low = 0x5555555555555555, high = 0xaaaaaaaaaaaaaaaa;
    const uint64_t zeros = ~(c.negative | c.positive);
    const uint64_t words[2] = {
        _pdep_u64(zeros, low) | _pdep_u64(c.positive, high),
        _pdep_u64(zeros >> 32, low) | _pdep_u64(c.positive >> 32, high),
    };
    memcpy(p, words, sizeof words);
}

static inline sign_tally sign_tally_zero(void)
{
    return (sign_tally){0, 0};
}

static inline sign_tally sign_tally_add(sign_tally tally, codes64 c)
{
    tally.nonzeros += (uint64_t)_mm_popcnt_u64(c.negative | c.positive);
    tally.positives += (uint64_t)_mm_popcnt_u64(c.positive);
    return tally;
}

/* In a claim that is not exact m is not all that is beyond half. */
static inline sign_tally sign_tally_add_unit(sign_tally tally, unit u, mask64 m,
                                             thresholds k, enum trit_dtype dtype)
{
    __mmask32 positive[UNIT_VECTORS];
    for (size_t i = 0; i < vectors_of(dtype); i++)
        positive[i] = greater((__m512i)u.r[i], (__m512i)k.half, dtype);
    tally.nonzeros += (uint64_t)_mm_popcnt_u64(joined(m.m, dtype));
    tally.positives += (uint64_t)_mm_popcnt_u64(joined(positive, dtype));
    return tally;
}

static inline void sign_tally_counts(sign_tally tally, size_t seen, uint64_t *negatives,
                                     uint64_t *positives)
{
    (void)seen;
    *positives = tally.positives;
    *negatives = tally.nonzeros - tally.positives;
}

#endif
