/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512: what vector_masks.h is elsewhere, with outcomes in mask registers. */
#ifndef KERNELS_AVX512_MASKS_H
#define KERNELS_AVX512_MASKS_H

#include <stdbool.h>

#include "kernels/simd/avx512_totals.h"

typedef struct {
    __mmask32 m[UNIT_VECTORS]; /* one for each of the unit's vectors */
} mask64;
typedef i32v residue;
typedef struct {
    __m512i lanes;
    uint64_t count;
} near_count;

static inline __mmask32 greater(__m512i a, __m512i b, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? _mm512_cmpgt_epi32_mask(a, b)
                             : _mm512_cmpgt_epi16_mask(a, b);
}

static inline __m512i unit_keys(unit u, size_t i, enum trit_dtype dtype)
{
    return (__m512i)keys_of(u.r[i], dtype);
}

static inline mask64 unit_above_half_scale(unit u, thresholds k, enum trit_dtype dtype)
{
    mask64 m;
    for (size_t i = 0; i < vectors_of(dtype); i++)
        m.m[i] = greater(unit_keys(u, i, dtype), (__m512i)k.half, dtype);
    return m;
}

static inline unit unit_dequantize(unit u, thresholds k, enum trit_dtype dtype)
{
    const mask64 m = unit_above_half_scale(u, k, dtype);
    const __m512i sign = (__m512i)sign_bits(dtype), all = (__m512i)k.s;
    for (size_t i = 0; i < vectors_of(dtype); i++) {
        const __m512i s = dtype == TRIT_F32
                              ? _mm512_maskz_mov_epi32((__mmask16)m.m[i], all)
                              : _mm512_maskz_mov_epi16(m.m[i], all);
        /* (u and sign) or s */
        u.r[i] = (i32v)_mm512_ternarylogic_epi32((__m512i)u.r[i], sign, s, 0xea);
    }
    return u;
}

static inline mask64 unit_equals_scale(unit u, thresholds k, enum trit_dtype dtype)
{
    mask64 m;
    for (size_t i = 0; i < vectors_of(dtype); i++) {
        const __m512i keys = unit_keys(u, i, dtype), s = (__m512i)k.s;
        m.m[i] = dtype == TRIT_F32 ? _mm512_cmpeq_epi32_mask(keys, s)
                                   : _mm512_cmpeq_epi16_mask(keys, s);
    }
    return m;
}

static inline residue residue_zero(void)
{
    return splat(0);
}

static inline residue residue_add(residue x, unit u, mask64 m, thresholds k,
                                  enum trit_dtype dtype)
{
    for (size_t i = 0; i < vectors_of(dtype); i++) {
        const __m512i keys = unit_keys(u, i, dtype), s = (__m512i)k.s;
        x |= (i32v)(dtype == TRIT_F32
                        ? _mm512_mask_sub_epi32(keys, (__mmask16)m.m[i], keys, s)
                        : _mm512_mask_sub_epi16(keys, m.m[i], keys, s));
    }
    return x;
}

static inline bool residue_none(residue x)
{
    return _mm512_test_epi32_mask((__m512i)x, (__m512i)x) == 0;
}

static inline near_count near_count_zero(void)
{
    return (near_count){_mm512_setzero_si512(), 0};
}

static inline near_count near_count_add(near_count n, unit u, thresholds k,
                                        enum trit_dtype dtype)
{
    const __m512i minus_one = _mm512_set1_epi32(-1), end = (__m512i)k.end;
    for (size_t i = 0; i < vectors_of(dtype); i++) {
        const i32v keys = keys_of(u.r[i], dtype);
        const __mmask32 near = greater(end, (__m512i)sum_of(keys, k.shift, dtype), dtype);
        if (dtype == TRIT_F32)
            n.lanes = _mm512_mask_sub_epi32(n.lanes, (__mmask16)near, n.lanes, minus_one);
        else
            n.count += (uint64_t)_mm_popcnt_u32(near);
    }
    return n;
}

static inline uint64_t near_count_total(near_count n)
{
    return n.count + (uint32_t)_mm512_reduce_add_epi32(n.lanes);
}

#endif
