/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512, a template (typed.h): what typed_masks.h is elsewhere, with outcomes in mask
 * registers. */

#include "kernels/simd/typed_beyond.h"
#include "kernels/simd/typed_units.h"

typedef struct {
    __mmask32 m[UNIT_VECTORS]; /* one for each of the unit's vectors */
} mask64;

static inline uint64_t mask64_bits(const __mmask32 *m)
{
    if (ELEMENT_BYTES == 2)
        return moved(m[0]) | moved(m[1]) << 32;
    return (moved(m[0]) | moved(m[1]) << 16) | (moved(m[2]) | moved(m[3]) << 16) << 32;
}

static inline __mmask32 keys_above(__m512i a, __m512i b)
{
    return ELEMENT_BYTES == 4 ? _mm512_cmpgt_epi32_mask(a, b)
                              : _mm512_cmpgt_epi16_mask(a, b);
}

static inline __m512i unit_keys(unit u, size_t i)
{
    return (__m512i)keys_of(u.r[i]);
}

static inline mask64 unit_above_half_scale(unit u, thresholds k)
{
    mask64 m;
    for (size_t i = 0; i < UNIT_VECTORS; i++)
        m.m[i] = keys_above(unit_keys(u, i), (__m512i)k.half);
    return m;
}

/* The i-th vector of keys where m, else 0. */
static inline keyv unit_key_where(unit u, mask64 m, size_t i)
{
    const __m512i keys = unit_keys(u, i);
    return (keyv)(ELEMENT_BYTES == 4 ? _mm512_maskz_mov_epi32((__mmask16)m.m[i], keys)
                                     : _mm512_maskz_mov_epi16(m.m[i], keys));
}

static inline found_count found_add(found_count c, mask64 m)
{
    return c + (uint64_t)_mm_popcnt_u64(mask64_bits(m.m));
}

static inline uint64_t found_total(found_count c)
{
    return c;
}

static inline unit unit_dequantize(unit u, thresholds k)
{
    const mask64 m = unit_above_half_scale(u, k);
    const __m512i sign = (__m512i)splat(ELEMENT_SIGNS), all = (__m512i)k.s;
    for (size_t i = 0; i < UNIT_VECTORS; i++) {
        const __m512i s = ELEMENT_BYTES == 4
                              ? _mm512_maskz_mov_epi32((__mmask16)m.m[i], all)
                              : _mm512_maskz_mov_epi16(m.m[i], all);
        /* (u and sign) or s */
        u.r[i] = (keyv)_mm512_ternarylogic_epi32((__m512i)u.r[i], sign, s, 0xea);
    }
    return u;
}

static inline mask64 unit_equals_scale(unit u, thresholds k)
{
    mask64 m;
    for (size_t i = 0; i < UNIT_VECTORS; i++) {
        const __m512i keys = unit_keys(u, i), s = (__m512i)k.s;
        m.m[i] = ELEMENT_BYTES == 4 ? _mm512_cmpeq_epi32_mask(keys, s)
                                    : _mm512_cmpeq_epi16_mask(keys, s);
    }
    return m;
}

static inline residue residue_add(residue x, unit u, mask64 m, thresholds k)
{
    for (size_t i = 0; i < UNIT_VECTORS; i++) {
        const __m512i keys = unit_keys(u, i), s = (__m512i)k.s;
        x |= (i32v)(ELEMENT_BYTES == 4
                        ? _mm512_mask_sub_epi32(keys, (__mmask16)m.m[i], keys, s)
                        : _mm512_mask_sub_epi16(keys, m.m[i], keys, s));
    }
    return x;
}

static inline near_count near_count_add(near_count n, unit u, thresholds k)
{
    const __m512i minus_one = _mm512_set1_epi32(-1), end = (__m512i)k.end;
    for (size_t i = 0; i < UNIT_VECTORS; i++) {
        const ukeyv moved = (ukeyv)keys_of(u.r[i]) + (ukeyv)k.shift;
        const __mmask32 near = keys_above(end, (__m512i)moved);
        if (ELEMENT_BYTES == 4)
            n.lanes = _mm512_mask_sub_epi32(n.lanes, (__mmask16)near, n.lanes, minus_one);
        else
            n.count += (uint64_t)_mm_popcnt_u32(near);
    }
    return n;
}
