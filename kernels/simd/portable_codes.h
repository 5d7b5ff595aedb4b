/* SPDX-License-Identifier: Apache-2.0 */
/* Plain C: codes as bytes, packed and counted. What depends on the element type is in
 * portable_typed.h. */
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

static inline codes64 codes64_load(const uint8_t *p)
{
    codes64 c;
    memcpy(&c, p, sizeof(c));
    return c;
}

static inline void codes64_store(uint8_t *p, codes64 c)
{
    memcpy(p, &c, sizeof(c));
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

/* The codes' sum is seen + positives - negatives. */
static inline void sign_tally_counts(sign_tally tally, size_t seen, uint64_t *negatives,
                                     uint64_t *positives)
{
    *positives = tally.positives;
    *negatives = seen + tally.positives - tally.sum;
}

/* The canonical totals of lanes in their order. */
static inline void lane_totals(double to[BLOCK_GROUPS],
                               const struct partial from[BLOCK_GROUPS])
{
    for (size_t g = 0; g < BLOCK_GROUPS; g++)
        to[g] = f64x16_total(f64x16_load(from[g].lane));
}

#endif
