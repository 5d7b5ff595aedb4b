/* SPDX-License-Identifier: Apache-2.0 */
/* Is a dense tensor exactly ternary already, and would projecting it change it?
 * Fed with the tensor's bytes in pieces; most latents are decided by the first row. */
#ifndef CHECKPOINT_TERNARY_H
#define CHECKPOINT_TERNARY_H

#include "checkpoint/form.h"

struct probe_group {
    uint32_t magnitude; /* bits; 0: none yet */
    bool zeros;
};

/* The groups that are open in one row of the matrix. */
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

/* `dense`: of F32, F16 or BF16. Groups as a projection by `terms` would have them. */
int ternary_probe_create(struct ternary_probe *probe, const struct layer_terms *terms,
                         const struct tensor_entry *dense, enum layer_layout layout,
                         struct failure *failure);
void ternary_probe_destroy(struct ternary_probe *probe); /* harmless on a zeroed one */

/* The next `bytes` of the tensor as it is stored, whole elements. Returns false once it is certain
 * that the tensor is not ternary: no more need be fed. */
bool ternary_probe_feed(struct ternary_probe *probe, const void *data, uint64_t bytes);

/* After the last byte: every group (of the projection, or of 32 weights) has one
 * nonzero magnitude, and the projection would not give the tensor back. */
bool ternary_probe_refuses(struct ternary_probe *probe);

#endif
