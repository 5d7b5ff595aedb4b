/* SPDX-License-Identifier: Apache-2.0 */
/* A matrix and its latents, of which neither need be in memory. */
#ifndef DRIVE_EXPLAIN_PARTS_H
#define DRIVE_EXPLAIN_PARTS_H

#include "drive/matrix.h"

struct explain_parts {
    const char *name; /* of the matrix */
    const struct content *content;
    enum trit_dtype dtype, latents_dtype;
    struct matrices matrices;
    struct matrix *data, *latents;
    const void *scales; /* of the matrix; NULL: none */
    uint64_t scale_bytes;
    enum trit_dtype scales_dtype;
    bool reciprocal; /* as in struct explained */
};

#endif
