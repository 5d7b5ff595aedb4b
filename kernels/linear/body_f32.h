/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: f32 activations. For a pair of columns, a table holds t x + t' x' for
 * all values of the two codes. Every row of W uses it. */

/* Sums for 16 rows of W and one row of x: of the current group, and of all groups. */
struct sums {
    float p[LANES], acc[LANES];
};

#ifndef OWN_PAIRS

static const float high_trits[TABLE_FLOATS] = {-1, -1, -1, -1, 0, 0, 0, 0,
                                               1,  1,  1,  1,  2, 2, 2, 2};

/* The table of two columns has t x + t' x' for all values of the two codes. */
INLINE f32x16 f32x16_pair_table(float low, float high)
{
    return f32x16_add(f32x16_mul(f32x16_load(low_trits), f32x16_splat(low)),
                      f32x16_mul(f32x16_load(high_trits), f32x16_splat(high)));
}

INLINE f32x16 f32x16_lookup_pair(f32x16 table, i32x16 words)
{
    return f32x16_lookup(table, words);
}

#endif

/* Builds the tables of some columns. Columns beyond the last count as zeros. */
INLINE void build_tables(float *tables, const float *x, uint64_t columns)
{
    for (uint64_t c = 0; c < columns; c += UNIT_COLUMNS) {
        float padded[UNIT_COLUMNS] = {0};
        const float *at = x + c;
        if (columns - c < UNIT_COLUMNS)
            at = memcpy(padded, at, (columns - c) * sizeof(*at));
        for (size_t i = 0; i < TABLES; i++, tables += TABLE_FLOATS) {
            const size_t column = i / 4 * 8 + i % 4; /* paired with column + 4 */
            f32x16_store(tables, f32x16_pair_table(at[column], at[column + 4]));
        }
    }
}

/* Adds the shares of eight columns, half of a unit. */
INLINE void add_half(f32x16 *p, const i32x16 *words, const float *tables,
                     uint64_t table_stride, const int half, const size_t tiles,
                     const size_t many)
{
    i32x16 index[8][4];
    for (size_t t = 0; t < tiles; t++)
        for (int m = 0; m < 4; m++)
            index[t][m] = i32x16_shr(words[t], 8 * m + 4 * half);
    for (size_t n = 0; n < many; n++) {
        f32x16 table[4];
        for (size_t m = 0; m < 4; m++)
            table[m] = f32x16_load(tables + n * table_stride + m * TABLE_FLOATS);
        for (size_t t = 0; t < tiles; t++) {
            const f32x16 a = f32x16_add(f32x16_lookup_pair(table[0], index[t][0]),
                                        f32x16_lookup_pair(table[1], index[t][1]));
            const f32x16 b = f32x16_add(f32x16_lookup_pair(table[2], index[t][2]),
                                        f32x16_lookup_pair(table[3], index[t][3]));
            p[t * many + n] = f32x16_add(p[t * many + n], f32x16_add(a, b));
        }
    }
}

/* Adds the shares of `units` units to p[tile * many + row of x]. */
INLINE void add_units(f32x16 *p, const uint8_t *codes, uint64_t tile_bytes,
                      const float *tables, uint64_t table_stride, uint64_t units,
                      const size_t tiles, const size_t many)
{
    for (uint64_t u = 0; u < units; u++, codes += UNIT_BYTES) {
        i32x16 words[8];
        for (size_t t = 0; t < tiles; t++) {
            words[t] = i32x16_load(codes + t * tile_bytes);
            if (many == 1)
                __builtin_prefetch(codes + (t + tiles) * tile_bytes);
        }
        add_half(p, words, tables, table_stride, 0, tiles, many);
        tables += TABLES / 2 * TABLE_FLOATS;
        add_half(p, words, tables, table_stride, 1, tiles, many);
        tables += TABLES / 2 * TABLE_FLOATS;
    }
}

struct chunk {
    uint64_t begin, end; /* columns */
    const float *tables;
    uint64_t table_stride; /* from one row of x to the next */
};

/* Adds the shares of a chunk of columns, group by group. */
INLINE void add_chunk(struct sums *sums, const struct strip *strip,
                      const struct chunk *chunk, const size_t tiles, const size_t many)
{
    const uint64_t size = strip->matrix->group_size, first_group = chunk->begin / size;
    const uint64_t last_group = (chunk->end - 1) / size;
    float scales[SCALE_GROUPS * 8 * LANES];
    transpose_scales(scales, strip, first_group, last_group - first_group + 1, tiles);
    for (uint64_t column = chunk->begin; column < chunk->end;) {
        const uint64_t group = column / size;
        const uint64_t group_end = least((group + 1) * size, strip->matrix->columns);
        const uint64_t stop = least(group_end, chunk->end);
        f32x16 p[32];
        for (size_t i = 0; i < tiles * many; i++)
            p[i] = column % size == 0 ? f32x16_zero() : f32x16_load(sums[i].p);
        add_units(p, strip->codes + column / UNIT_COLUMNS * UNIT_BYTES, strip->tile_bytes,
                  chunk->tables +
                      (column - chunk->begin) / UNIT_COLUMNS * TABLES * TABLE_FLOATS,
                  chunk->table_stride, units_of(stop - column), tiles, many);
        const float *s = scales + (group - first_group) * tiles * LANES;
        for (size_t i = 0; i < tiles * many; i++)
            if (stop == group_end)
                f32x16_store(sums[i].acc, f32x16_fma(f32x16_load(s + i / many * LANES),
                                                     p[i], f32x16_load(sums[i].acc)));
            else
                f32x16_store(sums[i].p, p[i]);
        column = stop;
    }
}

/* Computes tiles [begin, end), at most BLOCK_TILES, for `many` rows of x. */
INLINE void forward_block(const struct linear_matrix *matrix, const float *x,
                          const struct linear_part *part, uint64_t batch_row,
                          uint64_t begin, uint64_t end, const size_t tiles,
                          const size_t many)
{
    const uint64_t columns = matrix->columns;
    const uint64_t width = CACHED_FLOATS / many / (TABLES * TABLE_FLOATS) * UNIT_COLUMNS;
    float tables[CACHED_FLOATS] __attribute__((aligned(64)));
    struct sums sums[BLOCK_TILES * 4] __attribute__((aligned(64)));
    memset(sums, 0, (end - begin) * many * sizeof(sums[0]));
    struct chunk chunk = {.tables = tables, .table_stride = CACHED_FLOATS / many};
    for (chunk.begin = 0; chunk.begin < columns; chunk.begin = chunk.end) {
        chunk.end = least(chunk.begin + width, columns);
        for (size_t n = 0; n < many; n++)
            build_tables(tables + n * chunk.table_stride,
                         x + (batch_row + n) * columns + chunk.begin,
                         chunk.end - chunk.begin);
        uint64_t tile = begin;
        for (; tile + tiles <= end; tile += tiles) {
            const struct strip strip = strip_of(matrix, tile);
            add_chunk(sums + (tile - begin) * many, &strip, &chunk, tiles, many);
        }
        for (; tile < end; tile++) {
            const struct strip strip = strip_of(matrix, tile);
            add_chunk(sums + (tile - begin) * many, &strip, &chunk, 1, many);
        }
    }
    for (uint64_t i = 0; i < (end - begin) * many; i++)
        store_tile(part, matrix->rows, batch_row + i % many, begin + i / many,
                   f32x16_load(sums[i].acc));
}

static void forward(const struct linear_matrix *matrix, const float *x,
                    const struct linear_part *part)
{
    const uint64_t end = (part->first + part->count + TILE_ROWS - 1) / TILE_ROWS;
    for (uint64_t tile = part->first / TILE_ROWS; tile < end; tile += BLOCK_TILES) {
        const uint64_t stop = least(tile + BLOCK_TILES, end);
        uint64_t b = 0;
        for (; b + F32_MANY <= part->batch; b += F32_MANY)
            forward_block(matrix, x, part, b, tile, stop, F32_MANY_TILES, F32_MANY);
        for (; b < part->batch; b++)
            forward_block(matrix, x, part, b, tile, stop, F32_TILES, 1);
    }
}
