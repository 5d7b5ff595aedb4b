/* Plain C: the codes of a unit, as bytes: made, packed and counted. */
#ifndef KERNELS_PORTABLE_CODES_H
#define KERNELS_PORTABLE_CODES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { VECTOR_BYTES = 16 }; /* SSE2's, and most others' */

#include "kernels/vector_masks.h"

typedef struct {
    uint8_t lane[UNIT];
} vc;
typedef struct {
    uint64_t sum, positives;
} vt;

/* 1, or by the sign -1, where m: as wide as the elements. */
static inline iv trits(iv bits, iv m, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? ((bits >> 31) | 1) & m : (iv)(((hv)bits >> 15) | 1) & m;
}

static inline vc vu_codes(vu u, vm m, vk k, enum trit_dtype dtype)
{
    vc c;
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

static inline vc vc_load(const uint8_t *p)
{
    vc c;
    memcpy(&c, p, sizeof c);
    return c;
}

static inline void vc_store(uint8_t *p, vc c)
{
    memcpy(p, &c, sizeof c);
}

static inline void vc_trits(uint8_t *p, vc c)
{
    for (int i = 0; i < 64; i++)
        p[i] = (uint8_t)(c.lane[i] - 1);
}

static inline void vc_pack2(uint8_t *p, vc c)
{
    for (int i = 0; i < 16; i++)
        p[i] = (uint8_t)(c.lane[4 * i] | c.lane[4 * i + 1] << 2 | c.lane[4 * i + 2] << 4 |
                         c.lane[4 * i + 3] << 6);
}

static inline vt vt_zero(void)
{
    return (vt){0, 0};
}

static inline vt vt_add(vt tally, vc c)
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

static inline vt vt_see(vt tally, vu u, vm m, vk k, enum trit_dtype dtype)
{
    return vt_add(tally, vu_codes(u, m, k, dtype));
}

/* The codes' sum is seen + positives - negatives. */
static inline void vt_counts(vt tally, size_t seen, uint64_t *negatives,
                             uint64_t *positives)
{
    *positives = tally.positives;
    *negatives = seen + tally.positives - tally.sum;
}

#endif
