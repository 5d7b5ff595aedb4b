/* SPDX-License-Identifier: Apache-2.0 */
/* A matrix that is not the projection of its latents. */
#ifndef CHECKPOINT_EXPLAINED_H
#define CHECKPOINT_EXPLAINED_H

#include "checkpoint/decode.h"

struct explained {
    struct encoded_matrix claim;
    enum trit_dtype latents_dtype;
    const void *latents; /* [rows, columns] of the claim */
    const float *mean;   /* their mean magnitude, which is all that an encoding with one
                            scale needs; NULL: it is computed from `latents` */
    bool reciprocal;     /* config.json declares the claim's scale to be 1 / mean |w| */
    /* The claim is a part of a matrix with all_rows rows, from first_row on, and the
     * hints say so. 0: it is a whole matrix. */
    uint64_t first_row, all_rows;
};

/* Are there other rows? */
static inline bool explained_in_part(const struct explained *what)
{
    return what->all_rows > what->claim.rows;
}

#endif
