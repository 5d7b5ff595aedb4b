/* SPDX-License-Identifier: Apache-2.0 */
/* How two matrices of one shape differ, each in an encoding of its own: codes by the sign
 * of t*s, scales by the magnitudes where both are not 0. */
#ifndef CHECKPOINT_LAYER_DIFF_H
#define CHECKPOINT_LAYER_DIFF_H

#include "base/status.h"
#include "checkpoint/decode.h"

struct layer_diff {
    uint64_t elements;
    uint64_t codes_differing;
    uint64_t transitions[3][3];    /* codes from -1, 0, +1 of a to those of b */
    uint64_t magnitudes_differing; /* of elements that are not 0 on either side */
    double
        scale_ratio_max; /* the larger by the smaller of two magnitudes; 1: all equal */
    bool has_first;
    uint64_t first; /* index of the first element that differs */
};

/* INVALID_ARGUMENT where a code of either is none of a ternary tensor. */
int layer_diff(struct layer_diff *diff, const struct encoded_matrix *a,
               const struct encoded_matrix *b, struct failure *failure);

/* Adds the counts of another matrix of the layer, which begins `elements` after this. */
void layer_diff_add(struct layer_diff *diff, const struct layer_diff *more);

#endif
