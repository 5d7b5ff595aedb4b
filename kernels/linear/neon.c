/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary of products in NEON, as every AArch64 has it. */
#if defined(__aarch64__)

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

typedef float32x4x4_t f32x16;
typedef uint32x4x4_t i32x16;

enum {
    F32_TILES = 1,
    F32_MANY_TILES = 1,
    F32_MANY = 2,
    INT8_TILES = 1,
    INT8_MANY_TILES = 1,
    INT8_MANY = 2,
};

static inline f32x16 f32x16_load(const float *p)
{
    return vld1q_f32_x4(p);
}

static inline void f32x16_store(float *p, f32x16 v)
{
    vst1q_f32_x4(p, v);
}

static inline f32x16 f32x16_splat(float x)
{
    const float32x4_t v = vdupq_n_f32(x);
    return (f32x16){{v, v, v, v}};
}

static inline f32x16 f32x16_zero(void)
{
    return f32x16_splat(0.0f);
}

static inline f32x16 f32x16_add(f32x16 a, f32x16 b)
{
    for (int i = 0; i < 4; i++)
        a.val[i] = vaddq_f32(a.val[i], b.val[i]);
    return a;
}

static inline f32x16 f32x16_mul(f32x16 a, f32x16 b)
{
    for (int i = 0; i < 4; i++)
        a.val[i] = vmulq_f32(a.val[i], b.val[i]);
    return a;
}

static inline f32x16 f32x16_fma(f32x16 a, f32x16 b, f32x16 c)
{
    for (int i = 0; i < 4; i++)
        c.val[i] = vfmaq_f32(c.val[i], a.val[i], b.val[i]);
    return c;
}

static inline f32x16 f32x16_of_i32(i32x16 words)
{
    f32x16 v;
    for (int i = 0; i < 4; i++)
        v.val[i] = vcvtq_f32_s32(vreinterpretq_s32_u32(words.val[i]));
    return v;
}

static inline void f32x16_transpose(f32x16 v[16])
{
    float from[16][16], to[16][16];
    for (int i = 0; i < 16; i++)
        f32x16_store(from[i], v[i]);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++)
            to[i][j] = from[j][i];
    for (int i = 0; i < 16; i++)
        v[i] = f32x16_load(to[i]);
}

/* The table is 64 bytes, which one instruction looks up: byte b of a float is at
 * 4 * index + b. */
static inline f32x16 f32x16_lookup(f32x16 table, i32x16 words)
{
    const uint8x16x4_t bytes = {
        {vreinterpretq_u8_f32(table.val[0]), vreinterpretq_u8_f32(table.val[1]),
         vreinterpretq_u8_f32(table.val[2]), vreinterpretq_u8_f32(table.val[3])}};
    const uint32x4_t four = vdupq_n_u32(0x04040404u), each = vdupq_n_u32(0x03020100u);
    f32x16 v;
    for (int i = 0; i < 4; i++) {
        const uint32x4_t low = vandq_u32(words.val[i], vdupq_n_u32(15));
        const uint32x4_t index = vmlaq_u32(each, low, four);
        v.val[i] = vreinterpretq_f32_u8(vqtbl4q_u8(bytes, vreinterpretq_u8_u32(index)));
    }
    return v;
}

static inline i32x16 i32x16_load(const uint8_t *p)
{
    i32x16 v;
    for (int i = 0; i < 4; i++)
        v.val[i] = vreinterpretq_u32_u8(vld1q_u8(p + 16 * i));
    return v;
}

static inline i32x16 i32x16_splat(int32_t word)
{
    const uint32x4_t v = vdupq_n_u32((uint32_t)word);
    return (i32x16){{v, v, v, v}};
}

static inline i32x16 i32x16_shr(i32x16 v, int n)
{
    for (int i = 0; i < 4; i++)
        v.val[i] = vshlq_u32(v.val[i], vdupq_n_s32(-n));
    return v;
}

static inline i32x16 i32x16_unpack_row(uint32_t word)
{
    const int32_t bytes[4] = {0, -8, -16, -24};
    i32x16 v;
    for (int i = 0; i < 4; i++)
        v.val[i] =
            vshlq_u32(vdupq_n_u32(word), vsubq_s32(vld1q_s32(bytes), vdupq_n_s32(2 * i)));
    return v;
}

/* Products of 8 bits in 16, pairs of them added up in 32: exact. */
static inline int32x4_t dot4(int32x4_t sum, int8x16_t codes, int8x16_t x)
{
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
                i32x16 *sum = &dots[t * many + n];
                const int32x4_t x = vreinterpretq_s32_s8(vld1q_s8(q + n * q_stride));
                const int8x16_t four[4] = {vreinterpretq_s8_s32(vdupq_laneq_s32(x, 0)),
                                           vreinterpretq_s8_s32(vdupq_laneq_s32(x, 1)),
                                           vreinterpretq_s8_s32(vdupq_laneq_s32(x, 2)),
                                           vreinterpretq_s8_s32(vdupq_laneq_s32(x, 3))};
                for (int i = 0; i < 4; i++) {
                    uint8x16_t words = vld1q_u8(codes + t * tile_bytes + 16 * i);
                    int32x4_t all = vreinterpretq_s32_u32(sum->val[i]);
                    for (int k = 0; k < 4; k++, words = vshrq_n_u8(words, 2))
                        all =
                            dot4(all, vreinterpretq_s8_u8(vandq_u8(words, vdupq_n_u8(3))),
                                 four[k]);
                    sum->val[i] = vreinterpretq_u32_s32(all);
                }
            }
}

#include "kernels/linear/body.h"

const struct linear_table linear_neon = LINEAR_TABLE;

#else
typedef int linear_no_neon_here;
#endif
