/* SPDX-License-Identifier: Apache-2.0 */
/* Random matrices, activations and gradients for the products. */
#ifndef TESTS_LIB_LINEAR_WORK_H
#define TESTS_LIB_LINEAR_WORK_H

#include <stdint.h>

#include "kernels/linear/linear.h"

/* A random number in [low, high]. */
uint64_t linear_any(uint64_t *state, uint64_t low, uint64_t high);

/* Memory for `count` floats and one more. */
float *linear_floats(uint64_t count);

/* A packed matrix and the numbers that it stands for. */
struct linear_case {
    struct linear_matrix matrix;
    int8_t *trits; /* [rows][columns] */
    uint8_t *in_sequence, *codes;
    float *scales;
    uint64_t groups;
};

void linear_case_init(struct linear_case *c, uint64_t rows, uint64_t columns,
                      uint32_t group_size, uint64_t *state);
void linear_case_fini(struct linear_case *c);

/* The scale and the weight at [row][column]. */
float linear_scale(const struct linear_case *c, uint64_t row, uint64_t column);
double linear_weight(const struct linear_case *c, uint64_t row, uint64_t column);

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

void work_init(struct work *work, uint64_t rows, uint64_t columns, uint32_t group_size,
               uint64_t batch, uint64_t *state);

/* Random shapes and group size. */
void work_random(struct work *work, uint64_t *state);
void work_fini(struct work *work);
void work_quantize(const struct kernels *kernels, struct work *work);

/* Rows or columns that a product can be split by. */
uint64_t work_extent(const struct work *work, enum product product);

/* Floats in the result. */
uint64_t work_floats(const struct work *work, enum product product);

/* Computes rows or columns [first, first + count) of the result. */
void work_run_part(const struct kernels *kernels, const struct work *work,
                   enum product product, uint64_t first, uint64_t count, float *out);

/* The whole result, checked not to write beyond its end; the caller frees it. */
float *work_run(const struct kernels *kernels, const struct work *work,
                enum product product);

#endif
