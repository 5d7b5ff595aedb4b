/* SPDX-License-Identifier: Apache-2.0 */
/* Transposes a 16x16 table of floats: first the 4x4 blocks within each 128 bits, then the
 * blocks themselves. */
#ifndef KERNELS_VECTOR_TRANSPOSE_H
#define KERNELS_VECTOR_TRANSPOSE_H

#include "kernels/simd/vector_f32x16.h"

/* EACH_128: the same choice of four lanes in each 128 bits of two vectors; lanes of the
 * second one are numbered from F32V_LANES. f32v_even and f32v_odd take every other 128
 * bits of a, then of b. */
#if VECTOR_BYTES == 16
#define EACH_128(i, j, k, l) i, j, k, l
#elif VECTOR_BYTES == 32
#define EACH_128(i, j, k, l) i, j, k, l, i + 4, j + 4, k + 4, l + 4
#define EVEN_128 0, 1, 2, 3, 8, 9, 10, 11
#define ODD_128 4, 5, 6, 7, 12, 13, 14, 15
#elif VECTOR_BYTES == 64
#define EACH_128(i, j, k, l)                                                             \
    i, j, k, l, i + 4, j + 4, k + 4, l + 4, i + 8, j + 8, k + 8, l + 8, i + 12, j + 12,  \
        k + 12, l + 12
#define EVEN_128 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define ODD_128 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
#endif

/* Four rows: the 4x4 block in each 128 bits. */
static inline void f32v_transpose_4x4(f32v *r0, f32v *r1, f32v *r2, f32v *r3)
{
    enum { N = F32V_LANES };
    const f32v a = __builtin_shufflevector(*r0, *r1, EACH_128(0, N, 1, N + 1));
    const f32v b = __builtin_shufflevector(*r0, *r1, EACH_128(2, N + 2, 3, N + 3));
    const f32v c = __builtin_shufflevector(*r2, *r3, EACH_128(0, N, 1, N + 1));
    const f32v d = __builtin_shufflevector(*r2, *r3, EACH_128(2, N + 2, 3, N + 3));
    *r0 = __builtin_shufflevector(a, c, EACH_128(0, 1, N, N + 1));
    *r1 = __builtin_shufflevector(a, c, EACH_128(2, 3, N + 2, N + 3));
    *r2 = __builtin_shufflevector(b, d, EACH_128(0, 1, N, N + 1));
    *r3 = __builtin_shufflevector(b, d, EACH_128(2, 3, N + 2, N + 3));
}

#if VECTOR_BYTES > 16
static inline f32v f32v_even(f32v a, f32v b)
{
    return __builtin_shufflevector(a, b, EVEN_128);
}

static inline f32v f32v_odd(f32v a, f32v b)
{
    return __builtin_shufflevector(a, b, ODD_128);
}
#endif

typedef float quad __attribute__((vector_size(16)));
typedef quad quad_unaligned __attribute__((aligned(4), may_alias));

/* Four floats of each of as many rows as a vector has quads. */
static inline f32v f32v_load_quads(const float *from, size_t row)
{
    const quad a = *(const quad_unaligned *)(const void *)from;
#if VECTOR_BYTES == 16
    (void)row;
    return a;
#else
    const quad b = *(const quad_unaligned *)(const void *)(from + row);
#if VECTOR_BYTES == 32
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
#elif VECTOR_BYTES == 64
    const quad c = *(const quad_unaligned *)(const void *)(from + 2 * row),
               d = *(const quad_unaligned *)(const void *)(from + 3 * row);
    return __builtin_shufflevector(__builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7),
                                   __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7),
                                   0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#endif
#endif
}

/* Four columns of 16 rows. Rows of `from` and of `to` are from_row and to_row floats
 * apart. */
static inline void f32x16_transpose_quads(float *to, size_t to_row, const float *from,
                                          size_t from_row)
{
    enum { ROWS = F32V_LANES };
    for (size_t i = 0; i < F32X16_VECTORS; i++) {
        f32v v[4];
        for (size_t j = 0; j < 4; j++)
            v[j] = f32v_load_quads(from + (i * ROWS + j) * from_row, 4 * from_row);
        f32v_transpose_4x4(&v[0], &v[1], &v[2], &v[3]);
        for (size_t j = 0; j < 4; j++)
            *(f32v_unaligned *)(void *)(to + j * to_row + i * ROWS) = v[j];
    }
}

static inline void f32v_swap(f32v *a, f32v *b)
{
    const f32v kept = *a;
    *a = *b;
    *b = kept;
}

/* The blocks of rows j, j + 4, j + 8 and j + 12. */
static inline void f32x16_transpose_blocks(f32x16 v[16], size_t j)
{
#if VECTOR_BYTES == 16
    for (size_t i = 1; i < 4; i++)
        for (size_t k = 0; k < i; k++)
            f32v_swap(&v[4 * i + j].v[k], &v[4 * k + j].v[i]);
#elif VECTOR_BYTES == 32
    for (size_t i = 0; i < 16; i += 8)
        for (size_t k = 0; k < 2; k++) {
            const f32v a = v[i + j].v[k], b = v[i + 4 + j].v[k];
            v[i + j].v[k] = f32v_even(a, b);
            v[i + 4 + j].v[k] = f32v_odd(a, b);
        }
    f32v_swap(&v[j].v[1], &v[8 + j].v[0]);
    f32v_swap(&v[4 + j].v[1], &v[12 + j].v[0]);
#elif VECTOR_BYTES == 64
    const f32v a = f32v_even(v[j].v[0], v[4 + j].v[0]);
    const f32v b = f32v_odd(v[j].v[0], v[4 + j].v[0]);
    const f32v c = f32v_even(v[8 + j].v[0], v[12 + j].v[0]);
    const f32v d = f32v_odd(v[8 + j].v[0], v[12 + j].v[0]);
    v[j].v[0] = f32v_even(a, c);
    v[4 + j].v[0] = f32v_even(b, d);
    v[8 + j].v[0] = f32v_odd(a, c);
    v[12 + j].v[0] = f32v_odd(b, d);
#endif
}

static inline __attribute__((always_inline)) void f32x16_transpose(f32x16 v[16])
{
    for (size_t row = 0; row < 16; row += 4)
        for (size_t i = 0; i < F32X16_VECTORS; i++)
            f32v_transpose_4x4(&v[row].v[i], &v[row + 1].v[i], &v[row + 2].v[i],
                               &v[row + 3].v[i]);
    for (size_t j = 0; j < 4; j++)
        f32x16_transpose_blocks(v, j);
}

#endif
