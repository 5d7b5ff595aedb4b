/* SPDX-License-Identifier: Apache-2.0 */
/* Finds out whether a dense tensor is exactly ternary already, and whether projecting it
 * would change it. The caller gives the tensor's bytes in pieces. For most latents the
 * first row decides. */
#ifndef CHECKPOINT_TERNARY_H
#define CHECKPOINT_TERNARY_H

#include "checkpoint/form.h"

struct probe_group {
    uint32_t magnitude; /* bits; 0: none yet */
    bool zeros;
};

/* The unfinished groups of one row of the matrix. */
struct probe_row {
    struct probe_group group, fine;
};

struct ternary_probe {
    enum trit_dtype dtype;
    uint64_t columns;
    uint32_t group_size;
    bool padded;
    bool ternary, ternary_fine, changes; /* so far */
    struct probe_row *rows; /* one, or all of a matrix that is stored transposed */
    uint64_t row_count;
    uint64_t row, column; /* of the next element */
};

/* `dense` is of F32, F16 or BF16. Groups are those of a projection with `terms`. */
int ternary_probe_create(struct ternary_probe *probe, const struct layer_terms *terms,
                         const struct tensor_entry *dense, enum layer_layout layout,
                         struct failure *failure);
void ternary_probe_destroy(struct ternary_probe *probe); /* harmless on a zeroed one */

/* Takes the next `bytes` of the tensor as it is stored: whole elements. Returns false
 * once it is certain that the tensor is not ternary; the rest need not be given. */
bool ternary_probe_feed(struct ternary_probe *probe, const void *data, uint64_t bytes);

/* Call it after the last byte. True: every group (of the projection, or of 32 weights)
 * has one nonzero magnitude, and projecting would change the tensor. */
bool ternary_probe_refuses(struct ternary_probe *probe);

#endif
