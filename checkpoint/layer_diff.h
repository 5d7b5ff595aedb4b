/* SPDX-License-Identifier: Apache-2.0 */
/* Compares two matrices of one shape, each in its own encoding. Codes are compared by the
 * sign of t*s, scales by the magnitudes of elements that are nonzero on both sides. */
#ifndef CHECKPOINT_LAYER_DIFF_H
#define CHECKPOINT_LAYER_DIFF_H

#include "base/status.h"
#include "checkpoint/decode.h"

struct layer_diff {
    uint64_t elements;
    uint64_t codes_differing;
    uint64_t transitions[3][3];    /* codes from -1, 0, +1 of a to those of b */
    uint64_t magnitudes_differing; /* elements that are nonzero in both, or NaN in one */
    double scale_ratio_max; /* largest quotient of two magnitudes; 1: equal, or NaN */
    bool has_first;
    uint64_t first; /* index of the first element that differs */
};

/* INVALID_ARGUMENT: a code of either matrix is not -1, 0 or +1. */
int layer_diff(struct layer_diff *diff, const struct encoded_matrix *a,
               const struct encoded_matrix *b, struct failure *failure);

/* Adds the counts of the layer's next matrix, which follows this one. */
void layer_diff_add(struct layer_diff *diff, const struct layer_diff *more);

#endif
