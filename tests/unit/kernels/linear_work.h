/* SPDX-License-Identifier: Apache-2.0 */
/* The inputs of all products: a matrix, activations, gradients. Runs any product by its
 * name, all of it or a part. */
#ifndef TESTS_LINEAR_WORK_H
#define TESTS_LINEAR_WORK_H

#include "tests/unit/kernels/linear_inputs.h"

static const uint32_t group_sizes[] = {16, 32, 48, 64, 128, 256, 1024};

enum product { FORWARD, FORWARD_INT8, GRAD_INPUT, GRAD_WEIGHT, ROWS, PRODUCTS };

struct work {
    struct linear_case c;
    uint64_t batch;
    float *x, *g, *bias;
    int8_t *q;
    int32_t *sums;
    float *absmax;
};

static inline void work_init(struct work *work, uint64_t rows, uint64_t columns,
                             uint32_t group_size, uint64_t batch, uint64_t *state)
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

static inline void work_random(struct work *work, uint64_t *state)
{
    const size_t kinds = sizeof(group_sizes) / sizeof(group_sizes[0]);
    const uint64_t rows = linear_any(state, 1, linear_any(state, 0, 9) ? 40 : 200);
    const uint64_t columns = linear_any(state, 1, linear_any(state, 0, 9) ? 600 : 3000);
    work_init(work, rows, columns, group_sizes[linear_any(state, 0, kinds - 1)],
              linear_any(state, 1, 9), state);
}

static inline void work_fini(struct work *work)
{
    linear_case_fini(&work->c);
    free(work->x);
    free(work->g);
    free(work->bias);
    free(work->q);
    free(work->sums);
    free(work->absmax);
}

static inline void quantize_all(const struct kernels *kernels, struct work *work)
{
    const uint64_t columns = work->c.matrix.columns;
    for (uint64_t b = 0; b < work->batch; b++)
        linear_quantize(kernels, &work->c.matrix, work->x + b * columns,
                        work->q + b * linear_quantized(columns),
                        work->sums + b * work->c.groups, work->absmax + b);
}

/* The number of rows or columns that a split divides, and the number of floats in the
 * result. */
static inline uint64_t extent_of(const struct work *work, enum product product)
{
    return product == GRAD_INPUT ? work->c.matrix.columns : work->c.matrix.rows;
}

static inline uint64_t floats_of(const struct work *work, enum product product)
{
    if (product == FORWARD || product == FORWARD_INT8)
        return work->batch * work->c.matrix.rows;
    if (product == GRAD_INPUT)
        return work->batch * work->c.matrix.columns;
    return work->c.matrix.rows * work->c.matrix.columns;
}

static inline void run_part(const struct kernels *kernels, const struct work *work,
                            enum product product, uint64_t first, uint64_t count,
                            float *out)
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

/* The whole product; the caller frees it. The float behind it must not change. */
static inline float *run_all(const struct kernels *kernels, const struct work *work,
                             enum product product)
{
    const uint64_t floats = floats_of(work, product);
    float *out = linear_floats(floats);
    out[floats] = 12345.0f;
    run_part(kernels, work, product, 0, extent_of(work, product), out);
    CHECK(out[floats] == 12345.0f);
    return out;
}

#endif
