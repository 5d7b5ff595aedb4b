/* SPDX-License-Identifier: Apache-2.0 */
/* Packing a tensor into an encoding with one scale, in a stream (gathered.h). The loop reads
 * the pieces; one takes some 0.1 ms. Then the tile of the tensor goes to the pool. */
#ifndef TERNARY_GATHER_H
#define TERNARY_GATHER_H

#include "services/ternary/gathered.h"
#include "services/ternary/pipeline.h"

struct gather {
    struct gathered pieces;
    struct block codes, scales; /* of the pieces before; they grow */
};

/* Has the pipeline of a stream gather its input if the task needs that. -1: no memory. */
int gather_start(struct pipeline *pipeline);

void gather_free(struct pipeline *pipeline);

#endif
