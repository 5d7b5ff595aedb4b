/* SPDX-License-Identifier: Apache-2.0 */
/* Plain C, a template (typed.h): codes of a unit, totals of a block. */

#include "kernels/simd/typed_masks.h"
#include "kernels/simd/typed_sums.h"

static inline void unit_stream(uint8_t *p, unit u)
{
    for (size_t i = 0; i < UNIT_VECTORS; i++)
        stream_16(p + i * sizeof(u.r[0]), &u.r[i]);
}

/* ---- codes ------------------------------------------------------------------------- */

static inline codes64 unit_encode(unit u, mask64 m, thresholds k)
{
    codes64 c;
#if ELEMENT_BYTES == 4
    int32_t t[UNIT];
#else
    int16_t t[UNIT];
#endif
    (void)k;
    for (size_t i = 0; i < UNIT_VECTORS; i++) /* 1, or -1 by the sign, where m is true */
        u.r[i] = (u.r[i] >> (8 * ELEMENT_BYTES - 1) | 1) & m.m[i];
    memcpy(t, u.r, sizeof(t));
    for (size_t i = 0; i < UNIT; i++)
        c.lane[i] = (uint8_t)(t[i] + 1);
    return c;
}

static inline sign_tally sign_tally_add_unit(sign_tally tally, unit u, mask64 m,
                                             thresholds k)
{
    return sign_tally_add(tally, unit_encode(u, m, k));
}

/* ---- totals of a block ------------------------------------------------------------- */

static inline abs_sum abs_sum_add(abs_sum sum, const uint8_t *p)
{
    return abs_sum_add_vectors(sum, p);
}

/* The lanes in their order: a vector of 16 bytes holds two. */
static inline f64x16 abs_sum_lanes(const double stored[LANES])
{
    const size_t apart = 8 / ELEMENT_BYTES; /* elements that share 64 bits */
    double lanes[LANES];
    for (size_t i = 0; i < LANES; i++) {
        const size_t word = i / apart, vector = word / 2 * apart + i % apart;
        lanes[i] = stored[2 * vector + word % 2];
    }
    return f64x16_load(lanes);
}

static inline struct totals abs_sum_reduce(double to[BLOCK_GROUPS],
                                           const struct partial from[BLOCK_GROUPS])
{
    struct totals totals = {0, true};
    for (size_t g = 0; g < BLOCK_GROUPS; g++) {
        to[g] = f64x16_total(abs_sum_lanes(from[g].lane)) * SUM_SCALE;
        totals.zeros |= (uint32_t)(to[g] == 0.0) << g;
        totals.below &= to[g] < SUM_FINITE;
    }
    return totals;
}

static inline void unit_reduce_unions(uint32_t to[BLOCK_GROUPS],
                                      const struct partial from[BLOCK_GROUPS])
{
    for (size_t g = 0; g < BLOCK_GROUPS; g++) {
        uint32_t bits[STEP];
        memcpy(bits, from[g].lane, sizeof(bits));
        to[g] = bits[0] | bits[1] | bits[2] | bits[3];
        if (ELEMENT_BYTES == 2)
            to[g] = (to[g] | to[g] >> 16) & 0xffff;
    }
}
