/* SPDX-License-Identifier: Apache-2.0 */
/* The products with ternary matrices, written once for all ISAs. An ISA file defines the
 * vocabulary listed here, includes this file and exports linear_<isa>. linear.h states
 * the order of every sum; README.md gives the reasons.
 *
 * For every ISA, in simd/vector_f32x16.h and simd/vector_transpose.h:
 *   f32x16                      16 f32
 *   i32x16                      16 integers of 32 bits
 *   f32x16_load(p), f32x16_store(p, x)   16 floats, any alignment
 *   f32x16_zero(), f32x16_splat(value), f32x16_add(a, b), f32x16_mul(a, b)
 *   f32x16_of_i32(words)        signed integers, rounded to nearest even
 *   f32x16_transpose(v)         transposes the 16x16 table v[0..16)
 *   f32x16_transpose_quads(to, to_row, from, from_row)   four columns of 16 rows
 *   i32x16_load(p)              64 bytes, aligned to a vector
 *   i32x16_splat(value)
 *   i32x16_shr(words, n)        each word >> n, unsigned
 *   i32x16_unpack_row(word)     lane c: the code of column c of a unit, in the low 2 bits
 *
 * Each ISA defines on its own:
 *   f32x16_fma(a, b, c)         a * b + c, rounded once
 *   f32x16_lookup(table, words) table[word & 15] for each word; or table[word & 3], where
 *                               the ISA defines OWN_PAIRS and the words for pairs that
 *                               body_f32.h has otherwise
 *   i32x16_dot_i8(...)          exact dot products; see body_int8.h
 *   F32_TILES                   tiles computed together for one row of x
 *   F32_MANY_TILES, F32_MANY    tiles computed together for many rows of x; those rows
 *   INT8_MANY_TILES, INT8_MANY   the same for int8 activations and many rows of x */
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
    TABLES = 8,           /* in a unit: one for each pair of columns */
    TABLE_FLOATS = 16,    /* one for each value of two codes of two bits */
    CACHED_FLOATS = 4096, /* size of all tables: 16 KiB, half of the smallest L1 */
    BLOCK_TILES = 64,     /* tiles that use the tables before new ones are built */
    ROW_UNITS = 8,        /* of a group of 128 */
    SCALE_GROUPS = 32,    /* groups whose scales are transposed at a time */
    BATCH_MAX = 64,       /* rows of x that share codes while the codes are in L2 */
    OUTER_ROWS = 4,       /* of the block of an outer product that is in registers */
    OUTER_VECTORS = 4,
    DENSE_ROWS = 32, /* of the part of W made dense for grad_input: 32 KiB */
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

/* t of a code in the two lower bits, whatever the other bits. */
static const float low_trits[TABLE_FLOATS] = {-1, 0, 1, 2, -1, 0, 1, 2,
                                              -1, 0, 1, 2, -1, 0, 1, 2};

/* ---- tiles ---- */

/* Tiles that are computed together. */
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

/* Transposes 16 rows of 16 floats. Rows are from_row and to_row floats apart. */
INLINE void transpose_block(float *to, uint64_t to_row, const float *from,
                            uint64_t from_row)
{
    f32x16 block[LANES];
    for (size_t i = 0; i < LANES; i++)
        block[i] = f32x16_load(from + i * from_row);
    f32x16_transpose(block);
    for (size_t i = 0; i < LANES; i++)
        f32x16_store(to + i * to_row, block[i]);
}

/* Scales of `count` groups, from [row][group] to [group][row]. Scales of rows that do not
 * exist are 0. */
INLINE void transpose_scales(float *to, const struct strip *strip, uint64_t group,
                             uint64_t count, const size_t tiles)
{
    const uint64_t known = least(strip->matrix->rows - strip->first_row, tiles * LANES);
    const uint64_t to_row = tiles * LANES, from_row = strip->groups;
    const float *from = strip->matrix->scales + strip->first_row * from_row + group;
    uint64_t done = 0; /* groups */
    for (; known == to_row && done + LANES <= count; done += LANES)
        for (uint64_t row = 0; row < to_row; row += LANES)
            transpose_block(to + done * to_row + row, to_row,
                            from + row * from_row + done, from_row);
    for (; known == to_row && done + 4 <= count; done += 4)
        for (uint64_t row = 0; row < to_row; row += LANES)
            f32x16_transpose_quads(to + done * to_row + row, to_row,
                                   from + row * from_row + done, from_row);
    for (uint64_t row = 0; done < count && row < to_row; row++)
        for (uint64_t g = done; g < count; g++)
            to[g * to_row + row] = row < known ? from[row * from_row + g] : 0.0f;
}

/* Adds the bias to the sums of a tile and stores those of rows in the part. */
INLINE void store_tile(const struct linear_part *part, uint64_t rows, uint64_t batch_row,
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
