/* SPDX-License-Identifier: Apache-2.0 */
/* NEON: codes as bytes, packed and counted. What depends on the element type is in
 * neon_typed.h. */
#ifndef KERNELS_NEON_CODES_H
#define KERNELS_NEON_CODES_H

#if defined(KERNELS_NEON)

#include <stdbool.h>

enum { VECTOR_BYTES = 16 };

/* A bit select. */
#define WITH_SIGN(t, u, sign) (((t) & ~(sign)) | ((u) & (sign)))
#include "kernels/simd/vector_masks.h"

typedef uint8x16x4_t codes64;
typedef struct {
    uint32x4_t sum, positives;
} sign_tally;

static inline codes64 codes64_load(const uint8_t *p)
{
    return (codes64){{vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)}};
}

static inline void codes64_store(uint8_t *p, codes64 c)
{
    for (int k = 0; k < 4; k++)
        vst1q_u8(p + 16 * k, c.val[k]);
}

static inline void codes64_store_trits(uint8_t *p, codes64 c)
{
    for (int k = 0; k < 4; k++)
        vst1q_u8(p + 16 * k, vsubq_u8(c.val[k], vdupq_n_u8(1)));
}

/* c0 + 4 c1 + 16 c2 + 64 c3 in the low byte of each 32-bit lane. */
static inline uint16x8_t quads(uint8x16_t c)
{
    uint16x8_t pairs = vreinterpretq_u16_u8(c);
    pairs = vorrq_u16(pairs, vshrq_n_u16(pairs, 6));
    uint32x4_t quads = vreinterpretq_u32_u16(pairs);
    return vreinterpretq_u16_u32(vorrq_u32(quads, vshrq_n_u32(quads, 12)));
}

static inline void codes64_pack_2bit(uint8_t *p, codes64 c)
{
    uint16x8_t low = vuzp1q_u16(quads(c.val[0]), quads(c.val[1]));
    uint16x8_t high = vuzp1q_u16(quads(c.val[2]), quads(c.val[3]));
    vst1q_u8(p, vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high)));
}

static inline sign_tally sign_tally_zero(void)
{
    return (sign_tally){vdupq_n_u32(0), vdupq_n_u32(0)};
}

static inline sign_tally sign_tally_add(sign_tally tally, codes64 c)
{
    uint8x16_t sum = vaddq_u8(vaddq_u8(c.val[0], c.val[1]), vaddq_u8(c.val[2], c.val[3]));
    uint8x16_t positives = vdupq_n_u8(0);
    for (int k = 0; k < 4; k++)
        positives = vsraq_n_u8(positives, c.val[k], 1);
    tally.sum = vpadalq_u16(tally.sum, vpaddlq_u8(sum));
    tally.positives = vpadalq_u16(tally.positives, vpaddlq_u8(positives));
    return tally;
}

/* The codes' sum is seen + positives - negatives. */
static inline void sign_tally_counts(sign_tally tally, size_t seen, uint64_t *negatives,
                                     uint64_t *positives)
{
    *positives = vaddlvq_u32(tally.positives);
    *negatives = seen + *positives - vaddlvq_u32(tally.sum);
}

/* The canonical totals of lanes in their order. */
static inline void lane_totals(double to[BLOCK_GROUPS],
                               const struct partial from[BLOCK_GROUPS])
{
    for (size_t g = 0; g < BLOCK_GROUPS; g++)
        to[g] = f64x16_total(f64x16_load(from[g].lane));
}

#endif
#endif
