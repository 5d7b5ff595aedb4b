/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary of the products in NEON, which every AArch64 has. */
#if defined(__aarch64__)

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#define VECTOR_BYTES 16

#include "kernels/simd/vector_f32x16.h"
#include "kernels/simd/vector_transpose.h"

enum {
    F32_TILES = 1,
    F32_MANY_TILES = 1,
    F32_MANY = 2,
    INT8_MANY_TILES = 1,
    INT8_MANY = 2,
};

static inline f32x16 f32x16_fma(f32x16 a, f32x16 b, f32x16 c)
{
    for (size_t i = 0; i < F32X16_VECTORS; i++)
        c.v[i] = (f32v)vfmaq_f32((float32x4_t)c.v[i], (float32x4_t)a.v[i],
                                 (float32x4_t)b.v[i]);
    return c;
}

/* vqtbl4q looks bytes up in a table of 64: byte b of a float is at 4 * index + b. */
static inline f32x16 f32x16_lookup(f32x16 table, i32x16 words)
{
    const uint8x16x4_t bytes = {{(uint8x16_t)table.v[0], (uint8x16_t)table.v[1],
                                 (uint8x16_t)table.v[2], (uint8x16_t)table.v[3]}};
    const uint32x4_t four = vdupq_n_u32(0x04040404u), each = vdupq_n_u32(0x03020100u);
    f32x16 x;
    for (size_t i = 0; i < F32X16_VECTORS; i++) {
        const uint32x4_t low = vandq_u32((uint32x4_t)words.v[i], vdupq_n_u32(15));
        const uint32x4_t index = vmlaq_u32(each, low, four);
        x.v[i] = (f32v)vqtbl4q_u8(bytes, vreinterpretq_u8_u32(index));
    }
    return x;
}

/* Products of 8 bits, in 16 bits; pairs of them, added up in 32 bits: exact. */
static inline int32x4_t dot4(int32x4_t sum, uint8x16_t words, int8x16_t x)
{
    const int8x16_t codes = vreinterpretq_s8_u8(vandq_u8(words, vdupq_n_u8(3)));
    const int16x8_t low = vmull_s8(vget_low_s8(codes), vget_low_s8(x));
    const int16x8_t high = vmull_high_s8(codes, x);
    return vpadalq_s16(sum, vpaddq_s16(low, high));
}

static inline __attribute__((always_inline)) void
i32x16_dot_i8(i32x16 *dots, const uint8_t *codes, uint64_t tile_bytes, const int8_t *q,
              uint64_t q_stride, uint64_t units, const size_t tiles, const size_t many)
{
    for (uint64_t u = 0; u < units; u++, codes += 64, q += 16)
        for (size_t t = 0; t < tiles; t++)
            for (size_t n = 0; n < many; n++) {
                const int32x4_t x = vreinterpretq_s32_s8(vld1q_s8(q + n * q_stride));
                const int8x16_t four[4] = {vreinterpretq_s8_s32(vdupq_laneq_s32(x, 0)),
                                           vreinterpretq_s8_s32(vdupq_laneq_s32(x, 1)),
                                           vreinterpretq_s8_s32(vdupq_laneq_s32(x, 2)),
                                           vreinterpretq_s8_s32(vdupq_laneq_s32(x, 3))};
                for (size_t i = 0; i < F32X16_VECTORS; i++) {
                    uint8x16_t words = vld1q_u8(codes + t * tile_bytes + 16 * i);
                    i32v *sum = &dots[t * many + n].v[i];
                    for (size_t k = 0; k < 4; k++, words = vshrq_n_u8(words, 2))
                        *sum = (i32v)dot4((int32x4_t)*sum, words, four[k]);
                }
            }
}

#include "kernels/linear/body.h"

const struct linear_table linear_neon = LINEAR_TABLE;

#else
typedef int linear_no_neon_here;
#endif
