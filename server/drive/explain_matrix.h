/* SPDX-License-Identifier: Apache-2.0 */
/* Why a matrix is not the projection of its latents, of which neither need be in memory. */
#ifndef DRIVE_EXPLAIN_MATRIX_H
#define DRIVE_EXPLAIN_MATRIX_H

#include "checkpoint/findings.h"
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

/* Adds the reasons to the findings. Of a large matrix that is not in memory it looks at some
 * rows only, from the first mismatch on, and the hints say so. -1: a matrix could not be
 * read; its failure says why. */
int explain_matrix(struct file_findings *findings, const struct explain_parts *parts,
                   const struct trit_report *report);

#endif
