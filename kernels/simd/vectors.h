/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the vocabulary that all ISAs share, in compiler vectors of VECTOR_BYTES,
 * which the ISA's header defines first: vector types and f64 lanes. The compiler would
 * split vectors wider than the machine's into scalars. body.h lists the vocabulary. */
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

/* Elements as signed and unsigned integers: keys, or bits with the sign. */
typedef i32v keyv_f32;
typedef i16v keyv_f16, keyv_bf16;
typedef u32v ukeyv_f32;
typedef u16v ukeyv_f16, ukeyv_bf16;

/* The same at any address. Loads through these types, unlike memcpy, never leave the
 * variable in memory. */
typedef u64v u64v_unaligned __attribute__((aligned(1), may_alias));
typedef f64v f64v_unaligned __attribute__((aligned(1), may_alias));
typedef float f32h __attribute__((vector_size(VECTOR_BYTES / 2)));
typedef f32h f32h_unaligned __attribute__((aligned(1), may_alias));

/* Hides from the compiler how a vector was computed, where what it would do with that
 * knowledge is slower. */
#if defined(__x86_64__)
#define OPTIMIZER_BARRIER(v) __asm__("" : "+v"(v))
#else
#define OPTIMIZER_BARRIER(v) (void)(v)
#endif

/* Keeps the compiler from moving loads, stores and prefetches across. */
#define KEEP_ORDER() __asm__ volatile("" ::: "memory")

enum {
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

static inline i32v splat(uint32_t x)
{
    return (i32v)((u32v){0} + x);
}

static inline bool is_none(i32v lanes)
{
    int32_t any = 0;
    for (size_t i = 0; i < sizeof(lanes) / sizeof(any); i++)
        any |= lanes[i];
    return !any;
}

static inline f32v f32v_abs(f32v v)
{
    return (f32v)((i32v)v & INT32_MAX);
}

/* The total of lanes where no addition rounds. */
static inline float f32v_exact_total(f32v v)
{
    float lanes[STEP];
    memcpy(lanes, &v, sizeof(lanes));
    for (size_t width = STEP / 2; width >= 1; width /= 2)
        for (size_t i = 0; i < width; i++)
            lanes[i] += lanes[i + width];
    return lanes[0];
}

/* ---- f64 --------------------------------------------------------------------------- */

static inline f64v f64v_load(const double *p)
{
    return *(const f64v_unaligned *)(const void *)p;
}

static inline void f64v_store(double *p, f64v v)
{
    *(f64v_unaligned *)(void *)p = v;
}

static inline f64v f64v_splat(double x)
{
    return (f64v){0} + x;
}

/* sum + a * b, where a and b are f32: the product is exact, so rounding it on its own
 * changes nothing. A machine may have one instruction for it. */
#ifndef F64V_ADD_PRODUCT
#define F64V_ADD_PRODUCT(sum, a, b) ((sum) + (a) * (b))
#endif

/* Half of a vector of f32 in memory as f64. */
#ifndef F64V_WIDEN_AT
#define F64V_WIDEN_AT(p)                                                                 \
    __builtin_convertvector(*(const f32h_unaligned *)(const void *)(p), f64v)
#endif

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

/* A sum of magnitudes: lanes in the ISA's own order and scale. */
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

/* The first steps of the canonical tree, +8 and on: those that add whole vectors. */
static inline f64v f64x16_fold(f64x16 acc)
{
    for (size_t width = EXACT_VECTORS / 2; width >= 1; width /= 2)
        for (size_t i = 0; i < width; i++)
            acc.v[i] += acc.v[i + width];
    return acc.v[0];
}

/* Its last steps, within a vector: ..., +2, +1. */
static inline double f64v_total(f64v folded)
{
    double lanes[VECTOR_BYTES / 8];
    memcpy(lanes, &folded, sizeof(lanes));
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
