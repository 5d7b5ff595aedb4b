/* SPDX-License-Identifier: Apache-2.0 */
/* The latents of a tensor with one scale, in a stream: their bytes come twice. The first
 * time gives the scale, the second time the codes. So no more than a piece of them is in
 * memory. The pieces are computed on the loop, one at a time: the sums of a group go from
 * its first element to its last. A piece takes some 0.1 ms.
 *
 *   measuring --last byte--> coding --last byte--> the tile goes to the pool
 */
#ifndef TERNARY_TWICE_H
#define TERNARY_TWICE_H

#include "services/ternary/pipeline.h"
#include "services/ternary/tile_pieces.h"

struct twice {
    struct input *input; /* the one that comes twice */
    struct block piece;
    size_t filled;    /* bytes of the piece */
    uint64_t element; /* of this time, the piece's first */
    bool coding;
    struct pieces pieces;
};

/* Where the task needs it, has an input of the pipeline come twice. -1: no memory. */
int twice_start(struct pipeline *pipeline);

static inline bool twice_takes(const struct pipeline *pipeline, const struct input *input)
{
    return pipeline->twice && pipeline->twice->input == input;
}

void twice_free(struct pipeline *pipeline);

#endif
