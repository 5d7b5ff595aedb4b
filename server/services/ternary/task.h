/* SPDX-License-Identifier: Apache-2.0 */
/* What every tile of a tensor does. */
#ifndef TERNARY_TASK_H
#define TERNARY_TASK_H

#include "kernels/kernels.h"
#include "work/plan.h"

enum task_op {
    TASK_TERNARIZE,
    TASK_VERIFY,
    TASK_UNPACK,
    TASK_PASS, /* the bytes go back as they came */
};

/* What every tile of a pipeline does: constant once the first tile runs. */
struct task {
    enum task_op op;
    const struct kernels *kernels;
    struct plan plan;
    bool wants_sums;  /* mse, cosine */
    bool wants_codes; /* digest, flips */
    bool wants_crc;   /* of the output, for stream chunks */
    bool allows_lost; /* a packed output may lose scales */
    float tolerance;
    bool has_reference;
    enum trit_dtype reference_dtype;
    const uint8_t *in_scales; /* separate scales as they came, or NULL */
};

/* The output takes the place of the input's bytes. */
bool task_in_place(const struct task *task);

/* Bytes of a scale that goes out beside the data: 4, 2, or 0 where none does. */
size_t task_scale_out_bytes(const struct task *task);

/* The tensor's scale goes out behind its codes. */
bool task_has_tail(const struct task *task);

/* The output puts rows that are far apart into one byte: it is made of the tensor's
 * codes, once they are there. */
bool task_interleaves(const struct task *task);

/* The input does: it is taken apart into INT8's codes first. */
bool task_deinterleaves(const struct task *task);

/* The input's scales came as f16 or bf16. */
bool task_widens_scales(const struct task *task);

#endif
