/* SPDX-License-Identifier: Apache-2.0 */
/* A layer of MLX has one scale and one bias per group. The layer is ternary if every bias
 * is -scale (mlx, mlx/ops.cpp, affine_quantize). */
#ifndef CHECKPOINT_BIASES_H
#define CHECKPOINT_BIASES_H

#include "checkpoint/findings.h"

struct bias_check {
    uint64_t count, first; /* groups whose bias is not -scale */
    double scale, bias;    /* of the first */
};

/* Compares `bytes` of scales with as many of biases. Both are F32, F16 or BF16. */
struct bias_check bias_check(enum trit_dtype dtype, const void *scales,
                             const void *biases, uint64_t bytes);

/* Adds the finding not_ternary for the matrix if a bias is not -scale. */
void findings_add_biases(struct file_findings *findings, const char *matrix,
                         const struct bias_check *found);

#endif
