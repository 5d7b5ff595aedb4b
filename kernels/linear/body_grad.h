/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: dense rows, and the gradients. Both gradients are sums of outer
 * products: c[i][j] += a[i][k] * b[k][j], in the order of k. */

/* Writes columns [first, stop) of a row; first is a multiple of 16. Where `padded`, the
 * last unit is written whole. */
INLINE void dense_row(float *out, const struct linear_matrix *matrix, uint64_t row,
                      uint64_t first, uint64_t stop, bool padded)
{
    const uint8_t *codes = matrix->codes +
                           row / TILE_ROWS * linear_tile_bytes(matrix->columns) +
                           row % TILE_ROWS * 4;
    const float *scales = matrix->scales + row * linear_groups(matrix);
    const f32x16 trits = f32x16_load(low_trits);
    for (uint64_t c = first; c < stop;) {
        const uint64_t group = c / matrix->group_size;
        const uint64_t end = least((group + 1) * matrix->group_size, stop);
        const f32x16 values = f32x16_mul(trits, f32x16_splat(scales[group]));
        for (; c < end; c += UNIT_COLUMNS, out += UNIT_COLUMNS) {
            uint32_t word;
            memcpy(&word, codes + c / UNIT_COLUMNS * UNIT_BYTES, sizeof(word));
            const f32x16 dense = f32x16_lookup(values, i32x16_unpack_row(word));
            if (padded || end - c >= UNIT_COLUMNS) {
                f32x16_store(out, dense);
            } else {
                float unit[UNIT_COLUMNS];
                f32x16_store(unit, dense);
                memcpy(out, unit, (end - c) * sizeof(unit[0]));
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

struct outer {
    const float *a, *b;
    float *c;
    uint64_t a_row, a_step; /* floats from one i to the next, from one k to the next */
    uint64_t b_step, c_row;
    uint64_t steps;
    bool more; /* adds to c; otherwise c begins at 0 */
};

INLINE f32x16 load_some(const float *from, uint64_t count)
{
    float lanes[LANES] = {0};
    if (count >= LANES)
        return f32x16_load(from);
    memcpy(lanes, from, count * sizeof(lanes[0]));
    return f32x16_load(lanes);
}

INLINE void store_some(float *to, f32x16 v, uint64_t count)
{
    float lanes[LANES];
    if (count >= LANES) {
        f32x16_store(to, v);
        return;
    }
    f32x16_store(lanes, v);
    memcpy(to, lanes, count * sizeof(lanes[0]));
}

/* The last vector has `last` columns. */
INLINE void outer_block(const struct outer *o, uint64_t i, uint64_t j, uint64_t last,
                        const size_t height, const size_t vectors)
{
    f32x16 acc[OUTER_ROWS][OUTER_VECTORS];
    for (size_t r = 0; r < height; r++)
        for (size_t v = 0; v < vectors; v++)
            acc[r][v] = o->more ? load_some(o->c + (i + r) * o->c_row + j + v * LANES,
                                            v + 1 < vectors ? LANES : last)
                                : f32x16_zero();
    for (uint64_t k = 0; k < o->steps; k++) {
        f32x16 b[OUTER_VECTORS];
        for (size_t v = 0; v < vectors; v++)
            b[v] = load_some(o->b + k * o->b_step + j + v * LANES,
                             v + 1 < vectors ? LANES : last);
        for (size_t r = 0; r < height; r++) {
            const f32x16 a = f32x16_splat(o->a[(i + r) * o->a_row + k * o->a_step]);
            for (size_t v = 0; v < vectors; v++)
                acc[r][v] = f32x16_fma(a, b[v], acc[r][v]);
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
