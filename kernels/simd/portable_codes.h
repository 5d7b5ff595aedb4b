/* SPDX-License-Identifier: Apache-2.0 */
/* Plain C: the codes of a unit, as bytes: made, packed and counted. */
#ifndef KERNELS_PORTABLE_CODES_H
#define KERNELS_PORTABLE_CODES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { VECTOR_BYTES = 16 }; /* SSE2's, and most others' */

#include "kernels/simd/vector_masks.h"

typedef struct {
    uint8_t lane[UNIT];
} codes64;
typedef struct {
    uint64_t sum, positives;
} sign_tally;

/* 1, or by the sign -1, where m: as wide as the elements. */
static inline i32v trits(i32v bits, i32v m, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? ((bits >> 31) | 1) & m
                             : (i32v)(((i16v)bits >> 15) | 1) & m;
}

static inline codes64 unit_encode(unit u, mask64 m, thresholds k, enum trit_dtype dtype)
{
    codes64 c;
    (void)k;
    for (size_t i = 0; i < vectors_of(dtype); i++)
        u.r[i] = trits(u.r[i], m.m[i], dtype);
    if (dtype == TRIT_F32) {
        int32_t t[UNIT];
        memcpy(t, u.r, sizeof t);
        for (size_t i = 0; i < UNIT; i++)
            c.lane[i] = (uint8_t)(t[i] + 1);
    } else {
        int16_t t[UNIT];
        memcpy(t, u.r, sizeof t);
        for (size_t i = 0; i < UNIT; i++)
            c.lane[i] = (uint8_t)(t[i] + 1);
    }
    return c;
}

static inline codes64 codes64_load(const uint8_t *p)
{
    codes64 c;
    memcpy(&c, p, sizeof c);
    return c;
}

static inline void codes64_store(uint8_t *p, codes64 c)
{
    memcpy(p, &c, sizeof c);
}

static inline void codes64_store_trits(uint8_t *p, codes64 c)
{
    for (int i = 0; i < 64; i++)
        p[i] = (uint8_t)(c.lane[i] - 1);
}

static inline void codes64_pack_2bit(uint8_t *p, codes64 c)
{
    for (int i = 0; i < 16; i++)
        p[i] = (uint8_t)(c.lane[4 * i] | c.lane[4 * i + 1] << 2 | c.lane[4 * i + 2] << 4 |
                         c.lane[4 * i + 3] << 6);
}

static inline sign_tally sign_tally_zero(void)
{
    return (sign_tally){0, 0};
}

static inline sign_tally sign_tally_add(sign_tally tally, codes64 c)
{
    uint32_t sum = 0, positives = 0;
    for (int i = 0; i < 64; i++) {
        sum += c.lane[i];
        positives += c.lane[i] >> 1;
    }
    tally.sum += sum;
    tally.positives += positives;
    return tally;
}

static inline sign_tally sign_tally_add_unit(sign_tally tally, unit u, mask64 m,
                                             thresholds k, enum trit_dtype dtype)
{
    return sign_tally_add(tally, unit_encode(u, m, k, dtype));
}

/* The codes' sum is seen + positives - negatives. */
static inline void sign_tally_counts(sign_tally tally, size_t seen, uint64_t *negatives,
                                     uint64_t *positives)
{
    *positives = tally.positives;
    *negatives = seen + tally.positives - tally.sum;
}

#endif
