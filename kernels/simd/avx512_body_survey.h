/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512: a survey of a block (ternary/body_survey.h). Masks are stored from mask
 * registers: moving them to general registers takes a port that comparisons wait for.
 * What depends on the element type is in avx512_typed_survey.h. */
#ifndef KERNELS_AVX512_BODY_SURVEY_H
#define KERNELS_AVX512_BODY_SURVEY_H

#include "kernels/simd/avx512_codes.h"

enum { SURVEY_UNITS = BLOCK_BYTES / 4 / UNIT }; /* most units in a block */

/* What a block's survey leaves: a bit an element, and of each group the sum of what is
 * beyond the threshold, in exact parts: two of f32, one of a 16-bit type. A sum of integers
 * is in `high`; magnitudes times `factors` are integers. */
struct survey {
    _Alignas(64) uint16_t beyond[SURVEY_UNITS * 4], minus[SURVEY_UNITS * 4],
        near[SURVEY_UNITS * 4];
    _Alignas(64) uint8_t codes[SURVEY_UNITS * PACKED_BYTES];
    f32v high[BLOCK_GROUPS], low[BLOCK_GROUPS];
    float factors[BLOCK_GROUPS];
};

enum survey_detail { SURVEY_CODES, SURVEY_NEAR, SURVEY_SUMS, SURVEY_INTEGERS };

/* Else gcc joins masks in general registers. */
static inline void store_mask16(uint16_t *to, __mmask16 mask)
{
    __asm__("kmovw %1, %0" : "=m"(*to) : "k"(mask));
}

static inline void store_mask32(uint16_t to[2], __mmask32 mask)
{
    __asm__("kmovd %1, %0" : "=m"(*(uint16_t(*)[2])to) : "k"(mask));
}

/* Of a block with `units` units: forgets what an earlier block has left behind them. */
static inline void survey_end(struct survey *to, size_t units)
{
    const size_t bytes = (8 - units % 8) % 8 * 8;
    memset(to->beyond + units * 4, 0, bytes);
    memset(to->near + units * 4, 0, bytes);
}

/* Adds the block's counts; *found: how many are beyond the threshold in each unit. */
static inline void survey_count(const struct survey *survey, size_t units,
                                sign_tally *tally, near_count *near,
                                uint64_t found[SURVEY_UNITS], enum survey_detail detail)
{
    __m512i nonzeros = _mm512_setzero_si512(), positives = nonzeros, nears = nonzeros;
    for (size_t i = 0; i < units; i += 8) {
        const __m512i beyond = _mm512_load_si512(survey->beyond + 4 * i),
                      minus = _mm512_load_si512(survey->minus + 4 * i),
                      by = _mm512_popcnt_epi64(beyond);
        _mm512_storeu_si512(found + i, by);
        nonzeros = _mm512_add_epi64(nonzeros, by);
        positives = _mm512_add_epi64(
            positives, _mm512_popcnt_epi64(_mm512_andnot_si512(minus, beyond)));
        if (detail >= SURVEY_NEAR)
            nears = _mm512_add_epi64(
                nears, _mm512_popcnt_epi64(_mm512_load_si512(survey->near + 4 * i)));
    }
    tally->nonzeros += (uint64_t)_mm512_reduce_add_epi64(nonzeros);
    tally->positives += (uint64_t)_mm512_reduce_add_epi64(positives);
    near->count += (uint64_t)_mm512_reduce_add_epi64(nears);
}

/* The codes of the i-th unit. */
static inline codes64 survey_codes(const struct survey *survey, size_t i)
{
    uint64_t beyond, minus;
    memcpy(&beyond, survey->beyond + 4 * i, sizeof(beyond));
    memcpy(&minus, survey->minus + 4 * i, sizeof(minus));
    return (codes64){beyond & minus, beyond & ~minus};
}

/* Puts the lower four bits of each byte where the table says. */
static inline __m512i spread(__m512i bytes, __m512i table)
{
    return _mm512_shuffle_epi8(table, _mm512_and_si512(bytes, _mm512_set1_epi8(15)));
}

/* The block's codes: the low bit is set where the code is 1, the high bit where it is 2. */
static inline void survey_pack(struct survey *survey, size_t units)
{
    const __m512i low = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 1, 4, 5, 16, 17, 20, 21, 64, 65, 68, 69, 80, 81, 84, 85));
    const __m512i high = _mm512_add_epi8(low, low),
                  first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11),
                  second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    for (size_t i = 0; i < units; i += 8) {
        const __m512i beyond = _mm512_load_si512(survey->beyond + 4 * i),
                      minus = _mm512_load_si512(survey->minus + 4 * i),
                      zeros = _mm512_ternarylogic_epi32(beyond, beyond, beyond, 0x55),
                      plus = _mm512_andnot_si512(minus, beyond);
        const __m512i even = _mm512_or_si512(spread(zeros, low), spread(plus, high)),
                      odd = _mm512_or_si512(spread(_mm512_srli_epi16(zeros, 4), low),
                                            spread(_mm512_srli_epi16(plus, 4), high));
        const __m512i a = _mm512_unpacklo_epi8(even, odd),
                      b = _mm512_unpackhi_epi8(even, odd);
        uint8_t *to = survey->codes + i * PACKED_BYTES;
        _mm512_store_si512(to, _mm512_permutex2var_epi64(a, first, b));
        _mm512_store_si512(to + 64, _mm512_permutex2var_epi64(a, second, b));
    }
}

#endif
