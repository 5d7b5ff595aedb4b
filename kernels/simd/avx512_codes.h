/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512: comparisons end in mask registers, and the codes of a unit are bits in general
 * registers, packed and counted here. What depends on the element type is in
 * avx512_typed_masks.h and avx512_typed.h. */
#ifndef KERNELS_AVX512_CODES_H
#define KERNELS_AVX512_CODES_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>

#define SURVEYS 1 /* avx512_body_survey.h */
enum { VECTOR_BYTES = 64 };

#define F64V_ADD_PRODUCT(sum, a, b) ((f64v)_mm512_fmadd_pd((a), (b), (sum)))
#define F64V_WIDEN_AT(p) ((f64v)_mm512_cvtps_pd(_mm256_loadu_ps(p)))

#include "kernels/simd/vectors.h"

typedef struct {
    uint64_t negative, positive; /* a bit an element */
} codes64;
typedef struct {
    uint64_t nonzeros, positives;
} sign_tally;

typedef i32v residue;
typedef struct {
    __m512i lanes;
    uint64_t count;
} near_count;
typedef uint64_t found_count;
typedef __mmask16 equality; /* lanes that are equal so far */

static inline residue residue_zero(void)
{
    return splat(0);
}

static inline bool residue_none(residue x)
{
    return _mm512_test_epi32_mask((__m512i)x, (__m512i)x) == 0;
}

static inline near_count near_count_zero(void)
{
    return (near_count){_mm512_setzero_si512(), 0};
}

static inline uint64_t near_count_total(near_count n)
{
    return n.count + (uint32_t)_mm512_reduce_add_epi32(n.lanes);
}

static inline found_count found_zero(void)
{
    return 0;
}

static inline equality equality_all(void)
{
    return 0xffff;
}

static inline equality equality_add_vector(equality e, f32v a, f32v b)
{
    return _mm512_mask_cmp_ps_mask(e, a, b, _CMP_EQ_OQ);
}

static inline bool equality_holds(equality e)
{
    return e == 0xffff;
}

/* Moves a mask to a general register. It keeps the compiler from joining masks in mask
 * registers: that takes the ports that the comparisons wait for. */
static inline uint64_t moved(__mmask32 m)
{
    uint64_t bits = m;
    __asm__("" : "+r"(bits));
    return bits;
}

static inline codes64 codes64_load(const uint8_t *p)
{
    const __m512i c = _mm512_loadu_si512(p);
    return (codes64){_mm512_cmpeq_epi8_mask(c, _mm512_setzero_si512()),
                     _mm512_cmpeq_epi8_mask(c, _mm512_set1_epi8(2))};
}

/* The codes as bytes; minus `less` = 1, the trits. */
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
    memcpy(p, words, sizeof(words));
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

static inline void sign_tally_counts(sign_tally tally, size_t seen, uint64_t *negatives,
                                     uint64_t *positives)
{
    (void)seen;
    *positives = tally.positives;
    *negatives = tally.nonzeros - tally.positives;
}

#endif
