/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/linear_work.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"

uint64_t linear_any(uint64_t *state, uint64_t low, uint64_t high)
{
    return low + check_random(state) % (high - low + 1);
}

/* Roughly N(0, 1). */
static float linear_number(uint64_t *state)
{
    int sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (int)(check_random(state) & 0xffff) - 0x8000;
    return (float)sum * 0x1p-15f;
}

float *linear_floats(uint64_t count)
{
    float *floats = malloc((size_t)(count + 1) * sizeof(*floats));
    CHECK(floats);
    return floats;
}

static float *linear_numbers(uint64_t count, uint64_t *state)
{
    float *floats = linear_floats(count);
    for (uint64_t i = 0; i < count; i++)
        floats[i] = linear_number(state);
    return floats;
}

void linear_case_init(struct linear_case *c, uint64_t rows, uint64_t columns,
                      uint32_t group_size, uint64_t *state)
{
    const uint64_t row_bytes = (columns + 3) / 4,
                   bytes = linear_code_bytes(rows, columns);
    c->groups = (columns + group_size - 1) / group_size;
    c->trits = malloc((size_t)(rows * columns));
    c->in_sequence = malloc((size_t)(rows * row_bytes));
    c->codes = aligned_alloc(64, (size_t)bytes);
    c->scales = linear_floats(rows * c->groups);
    CHECK(c->trits && c->in_sequence && c->codes);
    memset(c->in_sequence, 0, (size_t)(rows * row_bytes));
    memset(c->codes, 0xff, (size_t)bytes);
    for (uint64_t i = 0; i < rows * c->groups; i++)
        c->scales[i] = (float)linear_any(state, 1, 1 << 20) * 0x1p-24f;
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t i = 0; i < columns; i++) {
            const int trit = (int)linear_any(state, 0, 2) - 1;
            c->trits[r * columns + i] = (int8_t)trit;
            c->in_sequence[r * row_bytes + i / 4] |=
                (uint8_t)((trit + 1) << (int)(i % 4 * 2));
        }
    linear_pack(columns, group_size, c->in_sequence, 0, rows, c->codes);
    c->matrix = (struct linear_matrix){rows, columns, group_size, c->codes, c->scales};
}

void linear_case_fini(struct linear_case *c)
{
    free(c->trits);
    free(c->in_sequence);
    free(c->codes);
    free(c->scales);
}

float linear_scale(const struct linear_case *c, uint64_t row, uint64_t column)
{
    return c->scales[row * c->groups + column / c->matrix.group_size];
}

double linear_weight(const struct linear_case *c, uint64_t row, uint64_t column)
{
    return (double)c->trits[row * c->matrix.columns + column] *
           (double)linear_scale(c, row, column);
}

void work_init(struct work *work, uint64_t rows, uint64_t columns, uint32_t group_size,
               uint64_t batch, uint64_t *state)
{
    linear_case_init(&work->c, rows, columns, group_size, state);
    work->batch = batch;
    work->x = linear_numbers(batch * columns, state);
    work->g = linear_numbers(batch * rows, state);
    work->bias = linear_any(state, 0, 1) ? linear_numbers(rows, state) : NULL;
    work->q = malloc((size_t)(batch * linear_quantized(columns)));
    work->sums = malloc((size_t)(batch * work->c.groups) * sizeof(*work->sums));
    work->absmax = linear_floats(batch);
    CHECK(work->q && work->sums);
}

void work_random(struct work *work, uint64_t *state)
{
    const size_t kinds = sizeof(group_sizes) / sizeof(group_sizes[0]);
    const uint64_t rows = linear_any(state, 1, linear_any(state, 0, 9) ? 40 : 200);
    const uint64_t columns = linear_any(state, 1, linear_any(state, 0, 9) ? 600 : 3000);
    work_init(work, rows, columns, group_sizes[linear_any(state, 0, kinds - 1)],
              linear_any(state, 1, 9), state);
}

void work_fini(struct work *work)
{
    linear_case_fini(&work->c);
    free(work->x);
    free(work->g);
    free(work->bias);
    free(work->q);
    free(work->sums);
    free(work->absmax);
}

void work_quantize(const struct kernels *kernels, struct work *work)
{
    const uint64_t columns = work->c.matrix.columns;
    for (uint64_t b = 0; b < work->batch; b++)
        linear_quantize(kernels, &work->c.matrix, work->x + b * columns,
                        work->q + b * linear_quantized(columns),
                        work->sums + b * work->c.groups, work->absmax + b);
}

uint64_t work_extent(const struct work *work, enum product product)
{
    return product == GRAD_INPUT ? work->c.matrix.columns : work->c.matrix.rows;
}

uint64_t work_floats(const struct work *work, enum product product)
{
    if (product == FORWARD || product == FORWARD_INT8)
        return work->batch * work->c.matrix.rows;
    if (product == GRAD_INPUT)
        return work->batch * work->c.matrix.columns;
    return work->c.matrix.rows * work->c.matrix.columns;
}

void work_run_part(const struct kernels *kernels, const struct work *work,
                   enum product product, uint64_t first, uint64_t count, float *out)
{
    const struct linear_matrix *matrix = &work->c.matrix;
    switch (product) {
    case FORWARD:
        linear_forward(kernels, matrix, work->x, work->batch, work->bias, first, count,
                       out);
        return;
    case FORWARD_INT8:
        linear_forward_int8(kernels, matrix, work->q, work->sums, work->absmax,
                            work->batch, work->bias, first, count, out);
        return;
    case GRAD_INPUT:
        linear_grad_input(kernels, matrix, work->g, work->batch, first, count, out);
        return;
    case GRAD_WEIGHT:
        linear_grad_weight(kernels, work->g, work->x, work->batch, matrix->rows,
                           matrix->columns, first, count, out);
        return;
    case ROWS:
        linear_rows(kernels, matrix, first, count, out + first * matrix->columns);
        return;
    case PRODUCTS:
        return;
    }
}

float *work_run(const struct kernels *kernels, const struct work *work,
                enum product product)
{
    const uint64_t floats = work_floats(work, product);
    float *out = linear_floats(floats);
    out[floats] = 12345.0f;
    work_run_part(kernels, work, product, 0, work_extent(work, product), out);
    CHECK(out[floats] == 12345.0f);
    return out;
}
