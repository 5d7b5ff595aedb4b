/* The products, once for all ISAs. An ISA file defines a vocabulary (below), includes
 * this file and exports linear_<isa>. The canonical order of every sum: linear.h; the
 * reasons: README.md, "Products".
 *
 * Types: vf, 16 f32; vi, 16 words of 32 bits.
 *   vf_load, vf_store       16 floats, any alignment
 *   vf_zero, vf_splat, vf_add, vf_mul
 *   vf_fma(a, b, c)         a * b + c, rounded once
 *   vf_of(words)            signed words, rounded to nearest even
 *   vf_pick(table, words)   lanewise table[word & 15]
 *   vi_load(p)              64 aligned bytes
 *   vi_right(words, n)      lanewise word >> n
 *   vi_spread(word)         lane c: the code of column c of a unit in its low 2 bits
 *   vi_dots(...)            see forward_int8; exact
 *   F32_TILES, F32_MANY_TILES, F32_MANY     how many tiles at once for one row of x;
 *   INT8_TILES, INT8_MANY_TILES, INT8_MANY  for many, and how many rows of x then */
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/linear_table.h"

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

/* ---- tiles --------------------------------------------------------------------------
 */

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

/* Scales of `count` groups, from [row][group] to [group][row]. */
INLINE void turn_scales(float *to, const struct strip *strip, uint64_t group,
                        uint64_t count, const size_t tiles)
{
    const uint64_t known = least(strip->matrix->rows - strip->first_row, tiles * LANES);
    const float *from = strip->matrix->scales + strip->first_row * strip->groups + group;
    for (uint64_t row = 0; row < known; row++)
        for (uint64_t g = 0; g < count; g++)
            to[g * tiles * LANES + row] = from[row * strip->groups + g];
    for (uint64_t row = known; row < tiles * LANES; row++)
        for (uint64_t g = 0; g < count; g++)
            to[g * tiles * LANES + row] = 0.0f;
}

/* The rows of a tile that are in the part, plus bias. */
INLINE void put_tile(const struct linear_part *part, uint64_t rows, uint64_t batch_row,
                     uint64_t tile, vf sums)
{
    const uint64_t row = tile * TILE_ROWS, end = part->first + part->count;
    float *y = part->y + batch_row * rows;
    if (row >= part->first && row + LANES <= end) {
        vf_store(y + row, part->bias ? vf_add(sums, vf_load(part->bias + row)) : sums);
        return;
    }
    float lanes[LANES];
    vf_store(lanes, sums);
    for (uint64_t i = 0; i < LANES; i++)
        if (row + i >= part->first && row + i < end)
            y[row + i] = part->bias ? lanes[i] + part->bias[row + i] : lanes[i];
}

/* ---- f32 activations ------------------------------------------------------------------
 * For a pair of columns a table holds t x + t' x' of all codes; it serves every row.
 */

/* What is summed of a row of W and one of x, so far. */
struct sums {
    float p[LANES], acc[LANES];
};

/* The tables of a chunk of columns; zeros beyond its end. */
INLINE void build_tables(float *tables, const float *x, uint64_t columns)
{
    const vf low = vf_load(low_trits), high = vf_load(high_trits);
    for (uint64_t c = 0; c < columns; c += UNIT_COLUMNS) {
        float padded[UNIT_COLUMNS] = {0};
        const float *at = x + c;
        if (columns - c < UNIT_COLUMNS)
            at = memcpy(padded, at, (columns - c) * sizeof *at);
        for (size_t i = 0; i < TABLES; i++, tables += TABLE_FLOATS) {
            const size_t column = i / 4 * 8 + i % 4; /* and the one 4 after it */
            vf_store(tables, vf_add(vf_mul(low, vf_splat(at[column])),
                                    vf_mul(high, vf_splat(at[column + 4]))));
        }
    }
}

/* Adds `units` units to p[tile * many + row of x]. */
INLINE void add_units(vf *p, const uint8_t *codes, uint64_t tile_bytes,
                      const float *tables, uint64_t table_stride, uint64_t units,
                      const size_t tiles, const size_t many)
{
    for (uint64_t u = 0; u < units; u++, codes += UNIT_BYTES) {
        vi words[8];
        for (size_t t = 0; t < tiles; t++) {
            words[t] = vi_load(codes + t * tile_bytes);
            if (many == 1)
                __builtin_prefetch(codes + (t + tiles) * tile_bytes);
        }
        for (size_t half = 0; half < 2; half++) {
            vi index[8][4];
            for (size_t t = 0; t < tiles; t++)
                for (size_t m = 0; m < 4; m++)
                    index[t][m] = vi_right(words[t], (int)(8 * m + 4 * half));
            for (size_t n = 0; n < many; n++) {
                const float *at =
                    tables + n * table_stride + (u * TABLES + half * 4) * TABLE_FLOATS;
                vf table[4];
                for (size_t m = 0; m < 4; m++)
                    table[m] = vf_load(at + m * TABLE_FLOATS);
                for (size_t t = 0; t < tiles; t++) {
                    const vf a = vf_add(vf_pick(table[0], index[t][0]),
                                        vf_pick(table[1], index[t][1]));
                    const vf b = vf_add(vf_pick(table[2], index[t][2]),
                                        vf_pick(table[3], index[t][3]));
                    p[t * many + n] = vf_add(p[t * many + n], vf_add(a, b));
                }
            }
        }
    }
}

struct chunk {
    uint64_t begin, end; /* columns */
    const float *tables;
    uint64_t table_stride; /* from one row of x to the next */
};

/* A chunk of columns for a strip, group by group. */
INLINE void add_chunk(struct sums *sums, const struct strip *strip,
                      const struct chunk *chunk, const size_t tiles, const size_t many)
{
    const uint64_t size = strip->matrix->group_size, first_group = chunk->begin / size;
    const uint64_t last_group = (chunk->end - 1) / size;
    float scales[TURNED_GROUPS * 8 * LANES];
    turn_scales(scales, strip, first_group, last_group - first_group + 1, tiles);
    for (uint64_t column = chunk->begin; column < chunk->end;) {
        const uint64_t group = column / size;
        const uint64_t group_end = least((group + 1) * size, strip->matrix->columns);
        const uint64_t stop = least(group_end, chunk->end);
        vf p[32];
        for (size_t i = 0; i < tiles * many; i++)
            p[i] = column % size == 0 ? vf_zero() : vf_load(sums[i].p);
        add_units(p, strip->codes + column / UNIT_COLUMNS * UNIT_BYTES, strip->tile_bytes,
                  chunk->tables +
                      (column - chunk->begin) / UNIT_COLUMNS * TABLES * TABLE_FLOATS,
                  chunk->table_stride, units_of(stop - column), tiles, many);
        const float *s = scales + (group - first_group) * tiles * LANES;
        for (size_t i = 0; i < tiles * many; i++)
            if (stop == group_end)
                vf_store(sums[i].acc, vf_fma(vf_load(s + i / many * LANES), p[i],
                                             vf_load(sums[i].acc)));
            else
                vf_store(sums[i].p, p[i]);
        column = stop;
    }
}

/* Tiles [begin, end), at most BLOCK_TILES, for `many` rows of x. */
INLINE void forward_block(const struct linear_matrix *matrix, const float *x,
                          const struct linear_part *part, uint64_t batch_row,
                          uint64_t begin, uint64_t end, const size_t tiles,
                          const size_t many)
{
    const uint64_t columns = matrix->columns;
    const uint64_t width = CACHED_FLOATS / many / (TABLES * TABLE_FLOATS) * UNIT_COLUMNS;
    float tables[CACHED_FLOATS] __attribute__((aligned(64)));
    struct sums sums[BLOCK_TILES * 4] __attribute__((aligned(64)));
    memset(sums, 0, (end - begin) * many * sizeof sums[0]);
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
        put_tile(part, matrix->rows, batch_row + i % many, begin + i / many,
                 vf_load(sums[i].acc));
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

/* ---- int8 activations
 * ------------------------------------------------------------------ vi_dots(dots, codes,
 * tile_bytes, q, q_stride, units, tiles, many) adds to dots[tile * many + row of x] the
 * products of codes 0, 1, 2 with q.
 */

/* Largest magnitude by bits: a NaN is larger than any number. */
INLINE float largest(const float *x, uint64_t count)
{
    uint32_t top[LANES] = {0}, all = 0;
    uint64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (size_t j = 0; j < LANES; j++) {
            const uint32_t bits = float_bits(x[i + j]) & 0x7fffffffu;
            top[j] = bits > top[j] ? bits : top[j];
        }
    for (; i < count; i++) {
        const uint32_t bits = float_bits(x[i]) & 0x7fffffffu;
        all = bits > all ? bits : all;
    }
    for (size_t j = 0; j < LANES; j++)
        all = top[j] > all ? top[j] : all;
    return float_of_bits(all);
}

static void quantize(const struct linear_matrix *matrix, const float *x, int8_t *q,
                     int32_t *sums, float *absmax)
{
    const uint64_t columns = matrix->columns;
    const float top = largest(x, columns), scale = 127.0f / top;
    memset(q, 0, linear_quantized(columns));
    memset(sums, 0, linear_groups(matrix) * sizeof *sums);
    *absmax = isinf(scale) ? 0.0f : top;
    if (isinf(scale))
        return;
    for (uint64_t i = 0; i < columns; i++) {
        const float value = rintf(x[i] * scale);
        const float bounded = value >= -127.0f ? value : -127.0f; /* and for NaN */
        q[i] = (int8_t)(int)(bounded <= 127.0f ? bounded : 127.0f);
    }
    for (uint64_t i = 0, group = 0; i < columns; group++) {
        const uint64_t stop = least(i + matrix->group_size, columns);
        int32_t sum = 0;
        for (; i < stop; i++)
            sum += q[i];
        sums[group] = sum;
    }
}

struct int8_part {
    const struct linear_int8 *x;
    uint64_t row, stride; /* of x; from one row of q to the next */
    uint64_t group, stop; /* groups */
};

/* Groups [group, stop) of a strip. */
INLINE void add_groups(float (*acc)[LANES], const struct strip *strip,
                       const struct int8_part *part, const float *scales,
                       const size_t tiles, const size_t many)
{
    const uint64_t size = strip->matrix->group_size;
    for (uint64_t g = part->group; g < part->stop; g++) {
        const uint64_t column = g * size;
        vi dots[32];
        for (size_t i = 0; i < tiles * many; i++)
            dots[i] =
                vi_splat(-part->x->sums[(part->row + i % many) * strip->groups + g]);
        vi_dots(dots, strip->codes + column / UNIT_COLUMNS * UNIT_BYTES,
                strip->tile_bytes, part->x->q + part->row * part->stride + column,
                part->stride, units_of(least(size, strip->matrix->columns - column)),
                tiles, many);
        const float *s = scales + (g - part->group) * tiles * LANES;
        for (size_t i = 0; i < tiles * many; i++)
            vf_store(acc[i], vf_fma(vf_load(s + i / many * LANES), vf_of(dots[i]),
                                    vf_load(acc[i])));
    }
}

/* A strip for rows [batch_row, batch_row + batch) of x, at most BATCH_MAX. */
INLINE void forward_strip(const struct linear_matrix *matrix, const struct linear_int8 *x,
                          const struct linear_part *part, uint64_t batch_row,
                          uint64_t batch, uint64_t tile, const size_t tiles,
                          const size_t many)
{
    const struct strip strip = strip_of(matrix, tile);
    float acc[BATCH_MAX * 8][LANES] __attribute__((aligned(64)));
    float scales[TURNED_GROUPS * 8 * LANES] __attribute__((aligned(64)));
    memset(acc, 0, batch * tiles * sizeof acc[0]);
    struct int8_part some = {.x = x, .stride = linear_quantized(matrix->columns)};
    for (; some.group < strip.groups; some.group = some.stop) {
        some.stop = least(some.group + TURNED_GROUPS, strip.groups);
        turn_scales(scales, &strip, some.group, some.stop - some.group, tiles);
        uint64_t b = 0;
        for (; b + many <= batch; b += many) {
            some.row = batch_row + b;
            add_groups(acc + b * tiles, &strip, &some, scales, tiles, many);
        }
        for (; b < batch; b++) {
            some.row = batch_row + b;
            add_groups(acc + b * tiles, &strip, &some, scales, tiles, 1);
        }
    }
    const uint64_t whole = batch / many * many;
    for (uint64_t b = 0; b < batch; b++)
        for (size_t t = 0; t < tiles; t++) {
            const uint64_t at =
                b < whole ? (b / many * tiles + t) * many + b % many : b * tiles + t;
            const vf unit = vf_splat(x->absmax[batch_row + b] / 127.0f);
            put_tile(part, matrix->rows, batch_row + b, tile + t,
                     vf_mul(vf_load(acc[at]), unit));
        }
}

static void forward_int8(const struct linear_matrix *matrix, const struct linear_int8 *x,
                         const struct linear_part *part)
{
    const uint64_t end = (part->first + part->count + TILE_ROWS - 1) / TILE_ROWS;
    for (uint64_t b = 0; b < part->batch; b += BATCH_MAX) {
        const uint64_t batch = least(part->batch - b, BATCH_MAX);
        uint64_t tile = part->first / TILE_ROWS;
        if (batch >= INT8_MANY)
            for (; tile + INT8_MANY_TILES <= end; tile += INT8_MANY_TILES)
                forward_strip(matrix, x, part, b, batch, tile, INT8_MANY_TILES,
                              INT8_MANY);
        else
            for (; tile + INT8_TILES <= end; tile += INT8_TILES)
                forward_strip(matrix, x, part, b, batch, tile, INT8_TILES, 1);
        for (; tile < end; tile++)
            forward_strip(matrix, x, part, b, batch, tile, 1, 1);
    }
}

/* ---- dense rows
 * --------------------------------------------------------------------------
 */

/* Columns [first, stop) of a row, first a multiple of 16. Writes whole units where
 * `padded`. */
INLINE void dense_row(float *out, const struct linear_matrix *matrix, uint64_t row,
                      uint64_t first, uint64_t stop, bool padded)
{
    const uint8_t *codes = matrix->codes +
                           row / TILE_ROWS * linear_tile_bytes(matrix->columns) +
                           row % TILE_ROWS * 4;
    const float *scales = matrix->scales + row * linear_groups(matrix);
    const vf trits = vf_load(low_trits);
    for (uint64_t c = first; c < stop;) {
        const uint64_t group = c / matrix->group_size;
        const uint64_t end = least((group + 1) * matrix->group_size, stop);
        const vf values = vf_mul(trits, vf_splat(scales[group]));
        for (; c < end; c += UNIT_COLUMNS, out += UNIT_COLUMNS) {
            uint32_t word;
            memcpy(&word, codes + c / UNIT_COLUMNS * UNIT_BYTES, sizeof word);
            const vf dense = vf_pick(values, vi_spread(word));
            if (padded || end - c >= UNIT_COLUMNS) {
                vf_store(out, dense);
            } else {
                float unit[UNIT_COLUMNS];
                vf_store(unit, dense);
                memcpy(out, unit, (end - c) * sizeof unit[0]);
            }
        }
    }
}

static void rows(const struct linear_matrix *matrix, uint64_t first, uint64_t count,
                 float *out)
{
    for (uint64_t i = 0; i < count; i++)
        dense_row(out + i * matrix->columns, matrix, first + i, 0, matrix->columns,
                  false);
}

/* ---- gradients
 * ------------------------------------------------------------------------------ Both are
 * sums of outer products: c[i][j] += a[i][k] * b[k][j], k after k.
 */

struct outer {
    const float *a, *b;
    float *c;
    uint64_t a_row, a_step; /* floats from one i, one k to the next */
    uint64_t b_step, c_row;
    uint64_t steps;
    bool more; /* c goes on; else it begins at 0 */
};

INLINE vf load_some(const float *from, uint64_t count)
{
    float lanes[LANES] = {0};
    if (count >= LANES)
        return vf_load(from);
    memcpy(lanes, from, count * sizeof lanes[0]);
    return vf_load(lanes);
}

INLINE void store_some(float *to, vf v, uint64_t count)
{
    float lanes[LANES];
    if (count >= LANES) {
        vf_store(to, v);
        return;
    }
    vf_store(lanes, v);
    memcpy(to, lanes, count * sizeof lanes[0]);
}

/* `last` columns are in the last vector. */
INLINE void outer_block(const struct outer *o, uint64_t i, uint64_t j, uint64_t last,
                        const size_t height, const size_t vectors)
{
    vf acc[OUTER_ROWS][OUTER_VECTORS];
    for (size_t r = 0; r < height; r++)
        for (size_t v = 0; v < vectors; v++)
            acc[r][v] = o->more ? load_some(o->c + (i + r) * o->c_row + j + v * LANES,
                                            v + 1 < vectors ? LANES : last)
                                : vf_zero();
    for (uint64_t k = 0; k < o->steps; k++) {
        vf b[OUTER_VECTORS];
        for (size_t v = 0; v < vectors; v++)
            b[v] = load_some(o->b + k * o->b_step + j + v * LANES,
                             v + 1 < vectors ? LANES : last);
        for (size_t r = 0; r < height; r++) {
            const vf a = vf_splat(o->a[(i + r) * o->a_row + k * o->a_step]);
            for (size_t v = 0; v < vectors; v++)
                acc[r][v] = vf_fma(a, b[v], acc[r][v]);
        }
    }
    for (size_t r = 0; r < height; r++)
        for (size_t v = 0; v < vectors; v++)
            store_some(o->c + (i + r) * o->c_row + j + v * LANES, acc[r][v],
                       v + 1 < vectors ? LANES : last);
}

INLINE void outer_rows(const struct outer *o, uint64_t height, uint64_t j, uint64_t last,
                       const size_t vectors)
{
    uint64_t i = 0;
    for (; i + OUTER_ROWS <= height; i += OUTER_ROWS)
        outer_block(o, i, j, last, OUTER_ROWS, vectors);
    for (; i < height; i++)
        outer_block(o, i, j, last, 1, vectors);
}

static void outer(const struct outer *o, uint64_t height, uint64_t width)
{
    uint64_t j = 0;
    for (; j + OUTER_VECTORS * LANES <= width; j += OUTER_VECTORS * LANES)
        outer_rows(o, height, j, LANES, OUTER_VECTORS);
    for (; j + LANES <= width; j += LANES)
        outer_rows(o, height, j, LANES, 1);
    if (j < width)
        outer_rows(o, height, j, width - j, 1);
}

static void grad_input(const struct linear_matrix *matrix, const float *grad_output,
                       uint64_t batch, uint64_t first, uint64_t count, float *out)
{
    float dense[DENSE_ROWS * DENSE_COLUMNS] __attribute__((aligned(64)));
    for (uint64_t c = first; c < first + count; c += DENSE_COLUMNS) {
        const uint64_t width = least(first + count - c, DENSE_COLUMNS);
        for (uint64_t row = 0; row < matrix->rows; row += DENSE_ROWS) {
            const uint64_t height = least(matrix->rows - row, DENSE_ROWS);
            for (uint64_t r = 0; r < height; r++)
                dense_row(dense + r * DENSE_COLUMNS, matrix, row + r, c, c + width, true);
            const struct outer o = {.a = grad_output + row,
                                    .a_row = matrix->rows,
                                    .a_step = 1,
                                    .b = dense,
                                    .b_step = DENSE_COLUMNS,
                                    .c = out + c,
                                    .c_row = matrix->columns,
                                    .steps = height,
                                    .more = row > 0};
            outer(&o, batch, width);
        }
    }
}

static void grad_weight(const float *grad_output, const float *x, uint64_t batch,
                        uint64_t height, uint64_t columns, uint64_t first, uint64_t count,
                        float *out)
{
    const struct outer o = {.a = grad_output + first,
                            .a_row = 1,
                            .a_step = height,
                            .b = x,
                            .b_step = columns,
                            .c = out + first * columns,
                            .c_row = columns,
                            .steps = batch};
    outer(&o, count, columns);
}

#define LINEAR_TABLE                                                                     \
    {                                                                                    \
        .rows = rows, .forward = forward, .quantize = quantize,                          \
        .forward_int8 = forward_int8, .grad_input = grad_input,                          \
        .grad_weight = grad_weight                                                       \
    }
