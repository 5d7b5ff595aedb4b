/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary in plain C and compiler vectors of 16 bytes. Every other ISA must give
 * the same bits. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/simd/portable_codes.h"
#include "kernels/simd/x86_stream.h"
#include "kernels/ternary/table.h"

/* Forced inlining of every form of every loop would keep the compiler busy for minutes and
 * gain nothing here. */
#define INLINE static inline

static inline f32x16 f32x16_load_f32(const uint8_t *p)
{
    f32x16 v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline f32x16 f32x16_load_f16(const uint8_t *p)
{
    uint16_t half[LANES];
    float wide[LANES];
    memcpy(half, p, sizeof(half));
    for (size_t i = 0; i < LANES; i++)
        wide[i] = f16_widen(half[i]);
    return f32x16_load_f32((const uint8_t *)wide);
}

static inline f32x16 f32x16_load_bf16(const uint8_t *p)
{
    uint16_t half[LANES];
    float wide[LANES];
    memcpy(half, p, sizeof(half));
    for (size_t i = 0; i < LANES; i++)
        wide[i] = bf16_widen(half[i]);
    return f32x16_load_f32((const uint8_t *)wide);
}

static inline void f32x16_store_f32(uint8_t *p, f32x16 v)
{
    memcpy(p, &v, sizeof(v));
}

static inline void f32x16_store_f16(uint8_t *p, f32x16 v)
{
    uint16_t half[LANES];
    float wide[LANES];
    memcpy(wide, &v, sizeof(v));
    for (size_t i = 0; i < LANES; i++)
        half[i] = f16_narrow(wide[i]);
    memcpy(p, half, sizeof(half));
}

static inline void f32x16_store_bf16(uint8_t *p, f32x16 v)
{
    uint16_t half[LANES];
    float wide[LANES];
    memcpy(wide, &v, sizeof(v));
    for (size_t i = 0; i < LANES; i++)
        half[i] = (uint16_t)(float_bits(wide[i]) >> 16);
    memcpy(p, half, sizeof(half));
}

static inline void unit_stream_fence(void)
{
    stream_fence();
}

static inline u64v u64v_join(const uint8_t *from, size_t stride, size_t bytes)
{
    u64v v;
    for (size_t at = 0; at < sizeof(v); at += bytes, from += stride)
        memcpy((uint8_t *)&v + at, from, bytes);
    return v;
}

static inline bool residue_none(residue x)
{
    uint64_t bits[VECTOR_BYTES / 8];
    memcpy(bits, &x, sizeof(bits));
    return (bits[0] | bits[1]) == 0;
}

/* ---- f64 --------------------------------------------------------------------------- */

/* Converts vectors. For conversions one element at a time, gcc 12 generates code that
 * skips the rounding of the upper two elements where narrowing is followed by widening. */
typedef float half_fv __attribute__((vector_size(VECTOR_BYTES / 2)));

static inline f64v f64v_widen_low(f32v v)
{
    return __builtin_convertvector(__builtin_shufflevector(v, v, 0, 1), f64v);
}

static inline f64v f64v_widen_high(f32v v)
{
    return __builtin_convertvector(__builtin_shufflevector(v, v, 2, 3), f64v);
}

static inline f32v f32v_narrow(f64v low, f64v high)
{
    const half_fv a = __builtin_convertvector(low, half_fv);
    const half_fv b = __builtin_convertvector(high, half_fv);
    return __builtin_shufflevector(a, b, 0, 1, 2, 3);
}

static inline f32v f32v_round_to_f16(f32v v)
{
    for (size_t i = 0; i < STEP; i++)
        v[i] = f16_widen(f16_narrow(v[i]));
    return v;
}

#define VOCABULARY "kernels/simd/portable_typed.h"
#include "kernels/ternary/body.h"

const struct kernels kernels_portable = KERNELS_TABLE("portable");
