/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary of products in plain C: what every other one must equal. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    float lane[16];
} f32x16;
typedef struct {
    uint32_t lane[16];
} i32x16;

enum {
    F32_TILES = 1,
    F32_MANY_TILES = 1,
    F32_MANY = 4,
    INT8_TILES = 1,
    INT8_MANY_TILES = 1,
    INT8_MANY = 1,
};

static inline f32x16 f32x16_load(const float *p)
{
    f32x16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void f32x16_store(float *p, f32x16 v)
{
    memcpy(p, &v, sizeof v);
}

static inline f32x16 f32x16_splat(float x)
{
    f32x16 v;
    for (int i = 0; i < 16; i++)
        v.lane[i] = x;
    return v;
}

static inline f32x16 f32x16_zero(void)
{
    return f32x16_splat(0.0f);
}

static inline f32x16 f32x16_add(f32x16 a, f32x16 b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] += b.lane[i];
    return a;
}

static inline f32x16 f32x16_mul(f32x16 a, f32x16 b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] *= b.lane[i];
    return a;
}

static inline f32x16 f32x16_fma(f32x16 a, f32x16 b, f32x16 c)
{
    for (int i = 0; i < 16; i++)
        c.lane[i] = fmaf(a.lane[i], b.lane[i], c.lane[i]);
    return c;
}

static inline f32x16 f32x16_of_i32(i32x16 words)
{
    f32x16 v;
    for (int i = 0; i < 16; i++)
        v.lane[i] = (float)(int32_t)words.lane[i];
    return v;
}

static inline f32x16 f32x16_lookup(f32x16 table, i32x16 words)
{
    f32x16 v;
    for (int i = 0; i < 16; i++)
        v.lane[i] = table.lane[words.lane[i] & 15];
    return v;
}

static inline void f32x16_transpose(f32x16 v[16])
{
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < i; j++) {
            const float lane = v[i].lane[j];
            v[i].lane[j] = v[j].lane[i];
            v[j].lane[i] = lane;
        }
}

static inline i32x16 i32x16_load(const uint8_t *p)
{
    i32x16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline i32x16 i32x16_splat(int32_t word)
{
    i32x16 v;
    for (int i = 0; i < 16; i++)
        v.lane[i] = (uint32_t)word;
    return v;
}

static inline i32x16 i32x16_shr(i32x16 v, int n)
{
    for (int i = 0; i < 16; i++)
        v.lane[i] >>= n;
    return v;
}

static inline i32x16 i32x16_unpack_row(uint32_t word)
{
    i32x16 v;
    for (int c = 0; c < 16; c++)
        v.lane[c] = word >> (c % 4 * 8 + c / 4 * 2);
    return v;
}

static inline void i32x16_dot_i8(i32x16 *dots, const uint8_t *codes, uint64_t tile_bytes,
                                 const int8_t *q, uint64_t q_stride, uint64_t units,
                                 size_t tiles, size_t many)
{
    (void)tile_bytes, (void)q_stride, (void)tiles, (void)many; /* one of each */
    int32_t sums[16];
    memcpy(sums, dots, sizeof sums);
    for (uint64_t u = 0; u < units; u++, codes += 64, q += 16) {
        const i32x16 words = i32x16_load(codes);
        for (int c = 0; c < 16; c++)
            for (int i = 0; i < 16; i++)
                sums[i] += (int32_t)(words.lane[i] >> (c % 4 * 8 + c / 4 * 2) & 3) * q[c];
    }
    memcpy(dots, sums, sizeof sums);
}

#include "kernels/linear/body.h"

const struct linear_table linear_portable = LINEAR_TABLE;
