/* SPDX-License-Identifier: Apache-2.0 */
/* Why a matrix is not the projection of its latents, of which neither need be in memory. */
#ifndef DRIVE_EXPLAIN_MATRIX_H
#define DRIVE_EXPLAIN_MATRIX_H

#include "checkpoint/findings.h"
#include "drive/explain_parts.h"

/* Adds the reasons to the findings. Of a large matrix that is not in memory it looks at some
 * rows only, from the first mismatch on, and the hints say so. -1: a matrix could not be
 * read; its failure says why. */
int explain_matrix(struct file_findings *findings, const struct explain_parts *parts,
                   const struct trit_report *report);

#endif
