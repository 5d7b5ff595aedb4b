/* SPDX-License-Identifier: Apache-2.0 */
/* A template (typed.h): comparisons whose outcome is a vector, all ones or none in each
 * element. */

#include "kernels/simd/typed_beyond.h"
#include "kernels/simd/typed_units.h"

typedef struct {
    keyv m[UNIT_VECTORS]; /* one for each of the unit's vectors */
} mask64;

static inline mask64 unit_above_half_scale(unit u, thresholds k)
{
    mask64 m;
    for (size_t i = 0; i < UNIT_VECTORS; i++)
        m.m[i] = keys_of(u.r[i]) > k.half;
    return m;
}

/* The i-th vector of keys where m, else 0. */
static inline keyv unit_key_where(unit u, mask64 m, size_t i)
{
    return keys_of(u.r[i]) & m.m[i];
}

static inline found_count found_add(found_count c, mask64 m)
{
    for (size_t i = 0; i < UNIT_VECTORS; i++)
        c = (found_count)((ukeyv)c - (ukeyv)m.m[i]);
    return c;
}

static inline uint64_t found_total(found_count c)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < VECTOR_BYTES / 8; i++)
        sum += c[i];
    return ELEMENT_BYTES == 2 ? sum * 0x0001000100010001u >> 48
                              : sum * 0x0000000100000001u >> 32;
}

static inline unit unit_dequantize(unit u, thresholds k)
{
    const mask64 m = unit_above_half_scale(u, k);
    for (size_t i = 0; i < UNIT_VECTORS; i++)
        u.r[i] = WITH_SIGN(m.m[i] & k.s, u.r[i], (keyv)splat(ELEMENT_SIGNS));
    return u;
}

static inline mask64 unit_equals_scale(unit u, thresholds k)
{
    mask64 m;
    for (size_t i = 0; i < UNIT_VECTORS; i++) {
        m.m[i] = keys_of(u.r[i]) == k.s;
        OPTIMIZER_BARRIER(m.m[i]); /* else gcc blends by it where an and is enough */
    }
    return m;
}

static inline residue residue_add(residue x, unit u, mask64 m, thresholds k)
{
    (void)k;
    for (size_t i = 0; i < UNIT_VECTORS; i++)
        x |= (residue)(keys_of(u.r[i]) & ~m.m[i]);
    return x;
}

static inline near_count near_count_add(near_count n, unit u, thresholds k)
{
    ukeyv minus = {0};
    for (size_t i = 0; i < UNIT_VECTORS; i++) {
        const keyv moved = (keyv)((ukeyv)keys_of(u.r[i]) + (ukeyv)k.shift);
        minus += (ukeyv)(k.end > moved);
    }
    i32v lanes = (i32v)minus;
    if (ELEMENT_BYTES == 2) /* adds both halves of a lane, with their signs */
        lanes = ((i32v)((u32v)lanes << 16) >> 16) + (lanes >> 16);
    return n - lanes;
}
