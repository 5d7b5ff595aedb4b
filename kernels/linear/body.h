/* SPDX-License-Identifier: Apache-2.0 */
/* The products with ternary matrices, written once for all ISAs. An ISA file defines the
 * vocabulary listed here, includes this file and exports linear_<isa>. The canonical
 * order of every sum stands in linear.h, its reasons in README.md.
 *
 *   f32x16                      16 f32
 *   i32x16                      16 words of 32 bits
 *   f32x16_load(p), f32x16_store(p, v)   16 floats, any alignment
 *   f32x16_zero(), f32x16_splat(x), f32x16_add(a, b), f32x16_mul(a, b)
 *   f32x16_fma(a, b, c)         a * b + c, rounded once
 *   f32x16_of_i32(words)        signed words, rounded to nearest even
 *   f32x16_transpose(v)         v[0..16), a 16x16 table, transposed
 *   f32x16_lookup(table, words) lane by lane table[word & 15]
 *   i32x16_load(p)              64 aligned bytes
 *   i32x16_shr(words, n)        lane by lane word >> n
 *   i32x16_unpack_row(word)     lane c: the code of column c of a unit in its low 2 bits
 *   i32x16_dot_i8(...)          exact dot products; see linear_body_int8.h
 *   F32_TILES                   tiles computed side by side for one row of x
 *   F32_MANY_TILES, F32_MANY    the same for many rows, and how many rows of x
 *   INT8_TILES, INT8_MANY_TILES, INT8_MANY   the same for int8 */
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/linear/table.h"

enum {
    LANES = 16,
    TABLES = 8,           /* of pairs of columns, in a unit */
    TABLE_FLOATS = 16,    /* of two codes of two bits */
    CACHED_FLOATS = 4096, /* of tables: 16 KiB, half of the smallest L1 */
    BLOCK_TILES = 64,     /* share the tables once they are built */
    TURNED_GROUPS = 32,   /* scales of which stand by lanes */
    BATCH_MAX = 64,       /* rows of x that share codes while these are in L2 */
    AHEAD_UNITS = 16,     /* software prefetch distance in a tile */
    OUTER_ROWS = 4,       /* of a block of an outer product */
    OUTER_VECTORS = 4,
    DENSE_ROWS = 32, /* of a tile of W unpacked for grad_input: 32 KiB */
    DENSE_COLUMNS = 256,
};

#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

INLINE uint64_t units_of(uint64_t columns)
{
    return (columns + UNIT_COLUMNS - 1) / UNIT_COLUMNS;
}

/* t of the low and of the high of two codes. */
static const float low_trits[TABLE_FLOATS] = {-1, 0, 1, 2, -1, 0, 1, 2,
                                              -1, 0, 1, 2, -1, 0, 1, 2};
static const float high_trits[TABLE_FLOATS] = {-1, -1, -1, -1, 0, 0, 0, 0,
                                               1,  1,  1,  1,  2, 2, 2, 2};

/* ---- tiles ---- */

/* Some tiles, side by side: `tiles` of them, or fewer where rows end. */
struct strip {
    const struct linear_matrix *matrix;
    const uint8_t *codes;
    uint64_t tile_bytes, groups, first_row;
};

INLINE struct strip strip_of(const struct linear_matrix *matrix, uint64_t tile)
{
    const uint64_t tile_bytes = linear_tile_bytes(matrix->columns);
    return (struct strip){matrix, matrix->codes + tile * tile_bytes, tile_bytes,
                          linear_groups(matrix), tile * TILE_ROWS};
}

/* 16 rows of 16 floats, `from_row` apart, to 16 columns. */
INLINE void turn_block(float *to, uint64_t to_row, const float *from, uint64_t from_row)
{
    f32x16 block[LANES];
    for (size_t i = 0; i < LANES; i++)
        block[i] = f32x16_load(from + i * from_row);
    f32x16_transpose(block);
    for (size_t i = 0; i < LANES; i++)
        f32x16_store(to + i * to_row, block[i]);
}

/* Scales of `count` groups, from [row][group] to [group][row]; 0 where rows end. */
INLINE void turn_scales(float *to, const struct strip *strip, uint64_t group,
                        uint64_t count, const size_t tiles)
{
    const uint64_t known = least(strip->matrix->rows - strip->first_row, tiles * LANES);
    const uint64_t to_row = tiles * LANES, from_row = strip->groups;
    const float *from = strip->matrix->scales + strip->first_row * from_row + group;
    uint64_t done = 0; /* groups */
    for (; known == to_row && done + LANES <= count; done += LANES)
        for (uint64_t row = 0; row < to_row; row += LANES)
            turn_block(to + done * to_row + row, to_row, from + row * from_row + done,
                       from_row);
    for (uint64_t row = 0; row < to_row; row++)
        for (uint64_t g = done; g < count; g++)
            to[g * to_row + row] = row < known ? from[row * from_row + g] : 0.0f;
}

/* The rows of a tile that are in the part, plus bias. */
INLINE void put_tile(const struct linear_part *part, uint64_t rows, uint64_t batch_row,
                     uint64_t tile, f32x16 sums)
{
    const uint64_t row = tile * TILE_ROWS, end = part->first + part->count;
    float *y = part->y + batch_row * rows;
    if (row >= part->first && row + LANES <= end) {
        f32x16_store(y + row,
                     part->bias ? f32x16_add(sums, f32x16_load(part->bias + row)) : sums);
        return;
    }
    float lanes[LANES];
    f32x16_store(lanes, sums);
    for (uint64_t i = 0; i < LANES; i++)
        if (row + i >= part->first && row + i < end)
            y[row + i] = part->bias ? lanes[i] + part->bias[row + i] : lanes[i];
}

/* clang-format off */
#include "kernels/linear/body_f32.h"
#include "kernels/linear/body_int8.h"
#include "kernels/linear/body_grad.h"
/* clang-format on */

#define LINEAR_TABLE                                                                     \
    {                                                                                    \
        .rows = rows, .forward = forward, .quantize = quantize,                          \
        .forward_int8 = forward_int8, .grad_input = grad_input,                          \
        .grad_weight = grad_weight                                                       \
    }
