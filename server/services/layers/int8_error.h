/* SPDX-License-Identifier: Apache-2.0 */
/* The difference between products by int8 activations and those by f32: the maximum over
 * all elements, so it depends neither on threads nor on the order of the parts. */
#ifndef SERVICES_LAYERS_INT8_ERROR_H
#define SERVICES_LAYERS_INT8_ERROR_H

#include <stdatomic.h>

#include "kernels/linear/linear.h"

struct product_error { /* zeroed = nothing compared */
    /* Bits of doubles without their signs. As integers they have the order of the
     * doubles; infinity is above all numbers and NaN above infinity. */
    _Atomic uint64_t difference, reference;
};

/* A part of a product that linear_forward_int8 has computed. */
struct product_part {
    const struct linear_matrix *matrix;
    const float *x; /* [batch, columns] */
    uint64_t batch;
    const float *bias;    /* NULL = none */
    uint64_t first, rows; /* of the matrix; first is a multiple of 16 */
    const float *y;       /* [batch, matrix rows] */
};

/* The scratch memory for parts of at most that many rows of a matrix. */
size_t product_error_scratch_bytes(uint64_t rows);

/* Computes the part with f32 activations, a few rows of x at a time, and compares. Any
 * thread may call it. */
void product_error_add(struct product_error *error, const struct kernels *kernels,
                       const struct product_part *part, float *scratch);

/* The largest |y - y by f32|, and that divided by the largest |y by f32| (0 where both
 * are 0). Not finite where an element is not. */
float product_error_max(const struct product_error *error);
float product_error_relative(const struct product_error *error);

#endif
