/* SPDX-License-Identifier: Apache-2.0 */
/* How far products by int8 activations are from those by f32: the maximum over all
 * elements, so neither the order of the parts nor threads show in it. */
#ifndef SERVICES_LAYERS_INT8_ERROR_H
#define SERVICES_LAYERS_INT8_ERROR_H

#include <stdatomic.h>

#include "kernels/linear/linear.h"

struct product_error { /* zeroed = nothing compared */
    /* Bits of doubles without their signs: as numbers they are in the doubles' order,
     * infinity and then NaN above all. */
    _Atomic uint64_t difference, reference;
};

/* Part of a product, as linear_forward_int8 has computed it. */
struct product_part {
    const struct linear_matrix *matrix;
    const float *x; /* [batch, columns] */
    uint64_t batch;
    const float *bias;    /* NULL = none */
    uint64_t first, rows; /* of the matrix; first is a multiple of 16 */
    const float *y;       /* [batch, matrix rows] */
};

/* Scratch memory for parts of at most that many rows of a matrix. */
size_t product_error_scratch_bytes(uint64_t rows);

/* Computes the part with f32 activations, a few rows of x at a time, and compares. Any
 * thread. */
void product_error_add(struct product_error *error, const struct kernels *kernels,
                       const struct product_part *part, float *scratch);

/* Largest |y - y by f32|; the same over the largest |y by f32|, 0 where both are 0. Not
 * finite where an element is not. */
float product_error_max(const struct product_error *error);
float product_error_relative(const struct product_error *error);

#endif
