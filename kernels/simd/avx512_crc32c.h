/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C by carry-less products of 64 bytes (VPCLMULQDQ with AVX-512).
 *
 * A vector stands for all bytes before it: modulo P, its four parts of 16 bytes at their places
 * have the same remainder. Moving it by n bits multiplies by x^n:
 *
 *   low half * (x^(n + 32) mod P) + high half * (x^(n - 32) mod P)
 *
 * with bits reflected and shifted left by one, because a carry-less product of reflected
 * factors lacks one x. Gopal et al., "Fast CRC Computation for Generic Polynomials Using
 * PCLMULQDQ Instruction", Intel 2009.
 *
 * Four chains go over four neighbouring lanes, because a chain waits for its own products, and
 * because several streams arrive from memory faster than one. */
#ifndef KERNELS_AVX512_CRC32C_H
#define KERNELS_AVX512_CRC32C_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FOLD_LANES = 4,
    FOLD_LANE_BYTES = 1024,
    FOLD_BLOCK_BYTES = FOLD_LANES * FOLD_LANE_BYTES,
    FOLD_AHEAD_BYTES = 8192,
};

#define FOLD_TARGET __attribute__((target("avx512f,vpclmulqdq,sse4.2")))

/* How far a vector moves: the factors of the low and of the high half. */
struct fold_distance {
    long long low, high;
};
static const struct fold_distance fold_16 = {0xf20c0dfe, 0x14cd00bd6},
                                  fold_32 = {0x1384aa63a, 0xba4fc28e},
                                  fold_48 = {0x1c291d04, 0x1d82c63da},
                                  fold_64 = {0x740eef02, 0x9e4addf8},
                                  fold_lane = {0xfe314258, 0x170076fa},
                                  fold_2_lanes = {0xf7506984, 0x1a0f717c4},
                                  fold_3_lanes = {0x1df36ecfa, 0x1307a0206};

FOLD_TARGET static inline __m512i fold_factors(const struct fold_distance *distance)
{
    return _mm512_set_epi64(distance->high, distance->low, distance->high, distance->low,
                            distance->high, distance->low, distance->high, distance->low);
}

/* Moves x by the factors' distance and adds what lies there. */
FOLD_TARGET static inline __m512i fold(__m512i x, __m512i factors, __m512i there)
{
    return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(x, factors, 0x00),
                                     _mm512_clmulepi64_epi128(x, factors, 0x11), there,
                                     0x96); /* the sum of all three */
}

/* The four parts of x, each moved to the last one. */
FOLD_TARGET static inline __m128i fold_parts(__m512i x)
{
    const __m512i factors =
        _mm512_set_epi64(0, 0, fold_16.high, fold_16.low, fold_32.high, fold_32.low,
                         fold_48.high, fold_48.low);
    const __m512i moved = _mm512_xor_si512(_mm512_clmulepi64_epi128(x, factors, 0x00),
                                           _mm512_clmulepi64_epi128(x, factors, 0x11));
    const __m128i first = _mm_xor_si128(_mm512_extracti32x4_epi32(moved, 0),
                                        _mm512_extracti32x4_epi32(moved, 1));

    return _mm_xor_si128(_mm_xor_si128(first, _mm512_extracti32x4_epi32(moved, 2)),
                         _mm512_extracti32x4_epi32(x, 3));
}

FOLD_TARGET static inline void fold_fetch(const uint8_t *bytes)
{
    for (size_t lane = 0; lane < FOLD_LANES; lane++)
        __builtin_prefetch(bytes + FOLD_AHEAD_BYTES + lane * FOLD_LANE_BYTES);
}

/* The vector that stands for one block, which begins with `first`. */
FOLD_TARGET static inline __m512i fold_block(__m512i first, const uint8_t *bytes)
{
    const __m512i factors = fold_factors(&fold_64);
    __m512i lanes[FOLD_LANES];

    fold_fetch(bytes);
    lanes[0] = first;
    for (size_t lane = 1; lane < FOLD_LANES; lane++)
        lanes[lane] = _mm512_loadu_si512(bytes + lane * FOLD_LANE_BYTES);
    for (size_t at = 64; at < FOLD_LANE_BYTES; at += 64) {
        fold_fetch(bytes + at);
        for (size_t lane = 0; lane < FOLD_LANES; lane++)
            lanes[lane] = fold(lanes[lane], factors,
                               _mm512_loadu_si512(bytes + lane * FOLD_LANE_BYTES + at));
    }
    return fold(lanes[0], fold_factors(&fold_3_lanes),
                fold(lanes[1], fold_factors(&fold_2_lanes),
                     fold(lanes[2], fold_factors(&fold_lane), lanes[3])));
}

/* The CRC (not inverted) of `blocks` blocks behind what has the CRC `crc`; at least 1. */
FOLD_TARGET static inline uint32_t fold_crc32c(uint32_t crc, const uint8_t *bytes,
                                               size_t blocks)
{
    const __m512i before =
        _mm512_inserti32x4(_mm512_setzero_si512(), _mm_cvtsi32_si128((int)crc), 0);
    __m512i all = fold_block(_mm512_xor_si512(_mm512_loadu_si512(bytes), before), bytes);
    __m128i last;

    for (; blocks > 1; blocks--) {
        bytes += FOLD_BLOCK_BYTES;
        all = fold_block(fold(all, fold_factors(&fold_64), _mm512_loadu_si512(bytes)),
                         bytes);
    }
    last = fold_parts(all);
    return (uint32_t)_mm_crc32_u64(_mm_crc32_u64(0, (uint64_t)_mm_extract_epi64(last, 0)),
                                   (uint64_t)_mm_extract_epi64(last, 1));
}

#endif
