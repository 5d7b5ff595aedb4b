/* SPDX-License-Identifier: Apache-2.0 */
/* Finds out whether a dense tensor is exactly ternary already, and whether projecting it
 * would change it. The groups need not be those of the projection: every size from 8 to
 * 1024 is tried, and the whole row. Smaller groups say little, because latents that were
 * pruned to one weight in 2 or 4 would look ternary. The caller gives the tensor's bytes in
 * pieces. For most latents the first weights decide. */
#ifndef CHECKPOINT_TERNARY_H
#define CHECKPOINT_TERNARY_H

#include "checkpoint/form.h"

struct probe_group {
    uint32_t magnitude; /* bits; 0: none yet */
    bool zeros;
};

/* What has been seen of one row of the matrix. */
struct probe_row {
    struct probe_group group; /* the unfinished one of the projection */
    uint64_t last;            /* column of the newest weight that is not 0 */
    uint32_t magnitude;       /* its bits; 0: none yet */
};

enum { PROBE_GROUP_MIN = 8, PROBE_GROUP_MAX = 1024 };

struct ternary_probe {
    enum trit_dtype dtype;
    uint64_t columns;
    uint32_t group_size;
    bool padded;
    bool ternary, changes; /* so far, in the groups of the projection */
    bool row_ternary;      /* so far, with the row as a group */
    /* The sizes of groups in which the tensor is ternary so far. */
    uint16_t sizes[PROBE_GROUP_MAX - PROBE_GROUP_MIN + 1];
    uint32_t size_count;
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

/* Call it after the last byte. True: the tensor is ternary in groups of some size, which
 * means that each group has one nonzero magnitude, and projecting would change it. */
bool ternary_probe_refuses(struct ternary_probe *probe);

/* The largest size of groups in which the tensor is ternary; 0: it is not. */
uint64_t ternary_probe_group(const struct ternary_probe *probe);

#endif
