/* SPDX-License-Identifier: Apache-2.0 */
/* Packing a tensor into an encoding with one scale, in a stream. The input comes once, in
 * pieces of at most 65,536 elements. Each is read when it is complete: its nonzero groups
 * must have the scale of those before. Only codes, and a scale for each group, are kept.
 * After the last piece the tile of the tensor gets them, and goes to the pool to write the
 * output. The loop reads the pieces; one takes some 0.1 ms. */
#ifndef TERNARY_GATHER_H
#define TERNARY_GATHER_H

#include "services/ternary/pipeline.h"
#include "services/ternary/tile_pack.h"

struct gather {
    struct task task;    /* of a piece */
    struct tile tile;    /* the piece that is being filled */
    uint64_t next_group; /* where it begins */
    uint64_t next_element;
    struct shared_scale shared;
    struct block codes, scales; /* of the pieces before; they grow */
    size_t code_bytes, all_code_bytes;
    uint64_t groups;
    /* what was found in them */
    struct ternary_counts counts;
    struct ternary_check check;
    struct storage_check storage;
};

/* Has the pipeline of a stream gather its input if the task needs that. -1: no memory. */
int gather_start(struct pipeline *pipeline);

void gather_free(struct pipeline *pipeline);

#endif
