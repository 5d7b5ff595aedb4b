/* SPDX-License-Identifier: Apache-2.0 */
/* What the vocabularies have in common, in the compiler's own vectors of VECTOR_BYTES,
 * which the ISA file defines first: units, keys, f64 lanes. Wider vectors than the
 * machine's the compiler takes apart into scalars. The words are body.h's. */
#ifndef KERNELS_VECTORS_H
#define KERNELS_VECTORS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/simd/block.h"
#include "trit/types.h"

typedef float f32v __attribute__((vector_size(VECTOR_BYTES)));
typedef double f64v __attribute__((vector_size(VECTOR_BYTES)));
typedef int16_t i16v __attribute__((vector_size(VECTOR_BYTES)));
typedef uint16_t u16v __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t i32v __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t u32v __attribute__((vector_size(VECTOR_BYTES)));
typedef uint64_t u64v __attribute__((vector_size(VECTOR_BYTES)));

/* The same at any address. A variable whose address memcpy takes may stay in memory. */
typedef i32v i32v_unaligned __attribute__((aligned(1), may_alias));
typedef u64v u64v_unaligned __attribute__((aligned(1), may_alias));
typedef f64v f64v_unaligned __attribute__((aligned(1), may_alias));

/* Ends what the compiler knows of a vector, where it makes less of it than we do. */
#if defined(__x86_64__)
#define OPTIMIZER_BARRIER(v) __asm__("" : "+v"(v))
#else
#define OPTIMIZER_BARRIER(v) (void)(v)
#endif

enum {
    UNIT_VECTORS = UNIT * 4 / VECTOR_BYTES,   /* of a unit of f32 */
    WIDE_VECTORS = LANES * 4 / VECTOR_BYTES,  /* of 16 f32 */
    EXACT_VECTORS = LANES * 8 / VECTOR_BYTES, /* of 16 f64 */
    STEP = VECTOR_BYTES / 4,                  /* elements of a vector of f32 */
};

typedef struct {
    f32v v[WIDE_VECTORS];
} f32x16;
typedef struct {
    f64v v[EXACT_VECTORS];
} f64x16;
typedef struct {
    i32v r[UNIT_VECTORS]; /* 16-bit types: the first half of them */
} unit;

/* A group's keys in every lane. What is near the threshold takes one comparison with
 * sign: a key less low, moved to where that order begins, is below `end`. */
typedef struct {
    i32v half, s, shift, end;
} thresholds;

/* ---- units ------------------------------------------------------------------------- */

static inline size_t vectors_of(enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? UNIT_VECTORS : UNIT_VECTORS / 2;
}

static inline unit unit_load(const uint8_t *p, enum trit_dtype dtype)
{
    unit u;
    for (size_t i = 0; i < vectors_of(dtype); i++)
        u.r[i] = *(const i32v_unaligned *)(const void *)(p + VECTOR_BYTES * i);
    return u;
}

static inline void unit_store(uint8_t *p, unit u, enum trit_dtype dtype)
{
    for (size_t i = 0; i < vectors_of(dtype); i++)
        *(i32v_unaligned *)(void *)(p + VECTOR_BYTES * i) = u.r[i];
}

static inline unit unit_of(const f32x16 v[4])
{
    unit u;
    for (size_t i = 0; i < UNIT_VECTORS; i++)
        u.r[i] = (i32v)v[i / WIDE_VECTORS].v[i % WIDE_VECTORS];
    return u;
}

static inline f32x16 f32x16_of_unit(unit u, size_t k)
{
    f32x16 v;
    for (size_t i = 0; i < WIDE_VECTORS; i++)
        v.v[i] = (f32v)u.r[k * WIDE_VECTORS + i];
    return v;
}

static inline i32v splat(uint32_t x)
{
    return (i32v)((u32v){0} + x);
}

static inline i32v sign_bits(enum trit_dtype dtype)
{
    return splat(dtype == TRIT_F32 ? 0x80000000u : 0x80008000u);
}

static inline i32v keys_of(i32v bits, enum trit_dtype dtype)
{
    return bits & ~sign_bits(dtype);
}

/* In lanes as wide as the elements. */
static inline i32v sum_of(i32v a, i32v b, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? (i32v)((u32v)a + (u32v)b) : (i32v)((u16v)a + (u16v)b);
}

static inline i32v difference_of(i32v a, i32v b, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? (i32v)((u32v)a - (u32v)b) : (i32v)((u16v)a - (u16v)b);
}

static inline thresholds thresholds_of(const struct keys *keys, size_t g,
                                       enum trit_dtype dtype)
{
    const i32v one = splat(dtype == TRIT_F32 ? 1 : 0x00010001);
    const i32v shift = difference_of(sign_bits(dtype), splat(keys->low[g]), dtype);
    return (thresholds){
        .half = splat(keys->half[g]),
        .s = splat(keys->s[g]),
        .shift = shift,
        .end = sum_of(splat(keys->high[g]), sum_of(shift, one, dtype), dtype),
    };
}

static inline unit unit_union(unit acc, unit u, enum trit_dtype dtype)
{
    for (size_t i = 0; i < vectors_of(dtype); i++)
        acc.r[i] |= u.r[i];
    return acc;
}

/* Of a union, the bits of its keys, in one vector. */
static inline void unit_store_keys(struct partial *to, unit acc, enum trit_dtype dtype)
{
    i32v bits = acc.r[0];
    for (size_t i = 1; i < vectors_of(dtype); i++)
        bits |= acc.r[i];
    *(i32v_unaligned *)(void *)to->lane = keys_of(bits, dtype);
}

/* ---- f64 --------------------------------------------------------------------------- */

static inline f64v f64v_load(const double *p)
{
    return *(const f64v_unaligned *)(const void *)p;
}

static inline f64v f64v_splat(double x)
{
    return (f64v){0} + x;
}

/* x where m, else 0. */
static inline f64v f64v_where(u64v m, f64v x)
{
    return (f64v)((u64v)x & m);
}

static inline f64x16 f64x16_zero(void)
{
    f64x16 v;
    for (size_t i = 0; i < EXACT_VECTORS; i++)
        v.v[i] = (f64v){0};
    return v;
}

static inline f64x16 f64x16_load(const double *p)
{
    f64x16 v;
    for (size_t i = 0; i < EXACT_VECTORS; i++)
        v.v[i] = f64v_load(p + i * VECTOR_BYTES / 8);
    return v;
}

/* A sum of magnitudes: the lanes in whatever order and scale they are added in. */
typedef f64x16 abs_sum;

static inline abs_sum abs_sum_zero(void)
{
    return f64x16_zero();
}

static inline void abs_sum_store(struct partial *to, abs_sum sum)
{
    for (size_t i = 0; i < EXACT_VECTORS; i++)
        *(f64v_unaligned *)(void *)(to->lane + i * VECTOR_BYTES / 8) = sum.v[i];
}

/* The canonical tree while it adds whole vectors: +8 and on. */
static inline f64v f64x16_fold(f64x16 acc)
{
    for (size_t width = EXACT_VECTORS / 2; width >= 1; width /= 2)
        for (size_t i = 0; i < width; i++)
            acc.v[i] += acc.v[i + width];
    return acc.v[0];
}

/* And within one: ... +2, +1. */
static inline double f64v_total(f64v folded)
{
    double lanes[VECTOR_BYTES / 8];
    memcpy(lanes, &folded, sizeof lanes);
    for (size_t width = VECTOR_BYTES / 16; width >= 1; width /= 2)
        for (size_t i = 0; i < width; i++)
            lanes[i] += lanes[i + width];
    return lanes[0];
}

static inline double f64x16_total(f64x16 acc)
{
    return f64v_total(f64x16_fold(acc));
}

#endif
