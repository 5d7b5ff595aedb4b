/* SPDX-License-Identifier: Apache-2.0 */
/* Part of linear/avx512.c and linear/avx2_vnni.c: dot products of int8 where one instruction
 * multiplies four bytes and adds the products to 32 bits. The ISA file first defines
 * i32v_dot(sum, codes, x), which does so for each lane. */
#ifndef KERNELS_VECTOR_DOTS_H
#define KERNELS_VECTOR_DOTS_H

#include <string.h>

#include "kernels/simd/vector_f32x16.h"

/* Four columns of q in every lane. */
static inline i32v four_of(const int8_t *q)
{
    int32_t columns;
    memcpy(&columns, q, sizeof(columns));
    return columns - (i32v){0};
}

/* One row of x. Codes are not shifted: they are multiplied in place, as 4^k times the
 * code, and the exact sums are shifted at the end. */
static inline __attribute__((always_inline)) void
dots_in_place(i32x16 *dots, const uint8_t *codes, uint64_t tile_bytes, const int8_t *q,
              uint64_t units, const size_t tiles)
{
    i32x16 sums[8][4];
    for (size_t t = 0; t < tiles; t++)
        for (size_t k = 0; k < 4; k++)
            sums[t][k] = i32x16_splat(0);
    for (uint64_t u = 0; u < units; u++, codes += 64, q += 16) {
        i32x16 words[8];
        for (size_t t = 0; t < tiles; t++) {
            words[t] = i32x16_load(codes + t * tile_bytes);
            __builtin_prefetch(codes + t * tile_bytes + 4096);
        }
        for (size_t k = 0; k < 4; k++) {
            const i32v x = four_of(q + 4 * k),
                       mask = (int32_t)(0x03030303u << 2 * k) - (i32v){0};
            for (size_t t = 0; t < tiles; t++) {
                EACH_VECTOR(sums[t][k].v[i] =
                                i32v_dot(sums[t][k].v[i], words[t].v[i] & mask, x))
            }
        }
    }
    for (size_t t = 0; t < tiles; t++) {
        EACH_VECTOR(dots[t].v[i] += (sums[t][0].v[i] + (sums[t][1].v[i] >> 2)) +
                                    ((sums[t][2].v[i] >> 4) + (sums[t][3].v[i] >> 6)))
    }
}

static inline __attribute__((always_inline)) void
i32x16_dot_i8(i32x16 *dots, const uint8_t *codes, uint64_t tile_bytes, const int8_t *q,
              uint64_t q_stride, uint64_t units, const size_t tiles, const size_t many)
{
    if (many == 1) {
        dots_in_place(dots, codes, tile_bytes, q, units, tiles);
        return;
    }
    const i32v mask = 0x03030303 - (i32v){0};
    for (uint64_t u = 0; u < units; u++, codes += 64, q += 16)
        for (int k = 0; k < 4; k++) {
            i32x16 places[8];
            for (size_t t = 0; t < tiles; t++) {
                places[t] = i32x16_shr(i32x16_load(codes + t * tile_bytes), 2 * k);
                EACH_VECTOR(places[t].v[i] &= mask)
            }
            for (size_t n = 0; n < many; n++) {
                const i32v x = four_of(q + n * q_stride + 4 * k);
                for (size_t t = 0; t < tiles; t++) {
                    i32x16 *dot = &dots[t * many + n];
                    EACH_VECTOR(dot->v[i] = i32v_dot(dot->v[i], places[t].v[i], x))
                }
            }
        }
}

#endif
