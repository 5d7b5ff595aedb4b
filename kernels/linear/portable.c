/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary of the products in plain C and the compiler's vectors of 16 bytes. Every
 * other ISA must give the same bits. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define VECTOR_BYTES 16

#include "kernels/simd/vector_f32x16.h"
#include "kernels/simd/vector_transpose.h"

enum {
    F32_TILES = 1,
    F32_MANY_TILES = 1,
    F32_MANY = 4,
    INT8_MANY_TILES = 1,
    INT8_MANY = 1,
};

static inline f32x16 f32x16_fma(f32x16 a, f32x16 b, f32x16 c)
{
    float x[16], y[16], z[16];
    f32x16_store(x, a);
    f32x16_store(y, b);
    f32x16_store(z, c);
    for (size_t i = 0; i < 16; i++)
        z[i] = fmaf(x[i], y[i], z[i]);
    return f32x16_load(z);
}

static inline f32x16 f32x16_lookup(f32x16 table, i32x16 words)
{
    float floats[16], found[16];
    f32x16_store(floats, table);
    for (size_t i = 0; i < 16; i++)
        found[i] = floats[words.v[i / F32V_LANES][i % F32V_LANES] & 15];
    return f32x16_load(found);
}

static inline void i32x16_dot_i8(i32x16 *dots, const uint8_t *codes, uint64_t tile_bytes,
                                 const int8_t *q, uint64_t q_stride, uint64_t units,
                                 size_t tiles, size_t many)
{
    (void)tile_bytes, (void)q_stride, (void)tiles, (void)many; /* one of each */
    for (uint64_t u = 0; u < units; u++, codes += 64, q += 16) {
        const i32x16 words = i32x16_load(codes);
        for (int c = 0; c < 16; c++) {
            const i32x16 places = i32x16_shr(words, c % 4 * 8 + c / 4 * 2);
            for (size_t i = 0; i < F32X16_VECTORS; i++)
                dots->v[i] += (places.v[i] & 3) * q[c];
        }
    }
}

#include "kernels/linear/body.h"

const struct linear_table linear_portable = LINEAR_TABLE;
