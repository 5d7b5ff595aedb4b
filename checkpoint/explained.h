/* SPDX-License-Identifier: Apache-2.0 */
/* A matrix that is not the projection of its latents. */
#ifndef CHECKPOINT_EXPLAINED_H
#define CHECKPOINT_EXPLAINED_H

#include "checkpoint/decode.h"

struct explained {
    struct encoded_matrix claim;
    enum trit_dtype latents_dtype;
    const void *latents; /* [rows, columns] of the claim */
    bool reciprocal;     /* config.json declares the claim's scale to be 1 / mean |w| */
};

#endif
