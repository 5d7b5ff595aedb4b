/* SPDX-License-Identifier: Apache-2.0 */
/* The words of linear/body.h that are the same for every ISA: 16 floats and 16 integers
 * in the compiler's vectors. The ISA file first defines the macro VECTOR_BYTES as the
 * width of its registers. The compiler splits wider vectors into scalars, so the width
 * matters. */
#ifndef KERNELS_VECTOR_F32X16_H
#define KERNELS_VECTOR_F32X16_H

#include <stddef.h>
#include <stdint.h>

enum {
    F32V_LANES = VECTOR_BYTES / 4,
    F32X16_VECTORS = 16 / F32V_LANES,
};

typedef float f32v __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t i32v __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t u32v __attribute__((vector_size(VECTOR_BYTES)));
typedef f32v f32v_unaligned __attribute__((aligned(4), may_alias));
typedef i32v i32v_aligned __attribute__((may_alias));

/* Runs a statement for each vector i. gcc 12 keeps arrays of vectors in memory where a
 * loop indexes them. */
#define FOR_VECTOR(n, ...)                                                               \
    {                                                                                    \
        enum { i = n };                                                                  \
        __VA_ARGS__;                                                                     \
    }
#if VECTOR_BYTES == 64
#define EACH_VECTOR(...) FOR_VECTOR(0, __VA_ARGS__)
#elif VECTOR_BYTES == 32
#define EACH_VECTOR(...) FOR_VECTOR(0, __VA_ARGS__) FOR_VECTOR(1, __VA_ARGS__)
#elif VECTOR_BYTES == 16
#define EACH_VECTOR(...)                                                                 \
    FOR_VECTOR(0, __VA_ARGS__)                                                           \
    FOR_VECTOR(1, __VA_ARGS__) FOR_VECTOR(2, __VA_ARGS__) FOR_VECTOR(3, __VA_ARGS__)
#endif

typedef struct {
    f32v v[F32X16_VECTORS];
} f32x16;
typedef struct {
    i32v v[F32X16_VECTORS];
} i32x16;

/* ---- f32 --------------------------------------------------------------------------- */

static inline f32x16 f32x16_load(const float *p)
{
    f32x16 x;
    EACH_VECTOR(x.v[i] = *(const f32v_unaligned *)(const void *)(p + i * F32V_LANES))
    return x;
}

static inline void f32x16_store(float *p, f32x16 x)
{
    EACH_VECTOR(*(f32v_unaligned *)(void *)(p + i * F32V_LANES) = x.v[i])
}

static inline f32x16 f32x16_zero(void)
{
    f32x16 x;
    EACH_VECTOR(x.v[i] = (f32v){0})
    return x;
}

/* Subtracts 0: adding it would turn -0 into +0. */
static inline f32x16 f32x16_splat(float value)
{
    f32x16 x;
    EACH_VECTOR(x.v[i] = value - (f32v){0})
    return x;
}

static inline f32x16 f32x16_add(f32x16 a, f32x16 b)
{
    EACH_VECTOR(a.v[i] += b.v[i])
    return a;
}

static inline f32x16 f32x16_mul(f32x16 a, f32x16 b)
{
    EACH_VECTOR(a.v[i] *= b.v[i])
    return a;
}

/* ---- i32 --------------------------------------------------------------------------- */

static inline i32x16 i32x16_load(const uint8_t *p)
{
    i32x16 x;
    EACH_VECTOR(x.v[i] = *(const i32v_aligned *)(const void *)(p + i * VECTOR_BYTES))
    return x;
}

static inline i32x16 i32x16_splat(int32_t value)
{
    i32x16 x;
    EACH_VECTOR(x.v[i] = value - (i32v){0})
    return x;
}

static inline i32x16 i32x16_shr(i32x16 x, int n)
{
    EACH_VECTOR(x.v[i] = (i32v)((u32v)x.v[i] >> n))
    return x;
}

static inline i32x16 i32x16_unpack_row(uint32_t word)
{
    static const int32_t places[16] __attribute__((aligned(VECTOR_BYTES))) = {
        0, 8, 16, 24, 2, 10, 18, 26, 4, 12, 20, 28, 6, 14, 22, 30};
    const i32x16 by = i32x16_load((const uint8_t *)places);
    i32x16 x;
    EACH_VECTOR(x.v[i] = (i32v)((word - (u32v){0}) >> (u32v)by.v[i]))
    return x;
}

static inline f32x16 f32x16_of_i32(i32x16 words)
{
    f32x16 x;
    EACH_VECTOR(x.v[i] = __builtin_convertvector(words.v[i], f32v))
    return x;
}

#endif
