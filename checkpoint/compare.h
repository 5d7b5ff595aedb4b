/* SPDX-License-Identifier: Apache-2.0 */
/* Findings about tensors that should be equal byte for byte, and about a verification
 * that examined nothing. */
#ifndef CHECKPOINT_COMPARE_H
#define CHECKPOINT_COMPARE_H

#include "checkpoint/difference.h"
#include "checkpoint/findings.h"

/* Should the tensor of the claim equal that of the latents, by their types and shapes? If one
 * of the files is GGUF, which stores norms as F32, two types of floats will do. */
bool entries_comparable(const struct tensor_table *claim, size_t index,
                        const struct tensor_table *latents, size_t wanted);

/* Adds a finding and returns true if tensor `index` of the claim is not comparable with
 * tensor `wanted` of the latents. Its bytes need no comparison then. */
bool findings_add_form(struct file_findings *findings, const struct contents *claim,
                       size_t index, const struct tensor_table *latents, size_t wanted);

/* Adds a finding if the tensor differs from the latents. All bytes of the tensor must
 * have been given to `difference`. */
void findings_add_difference(struct file_findings *findings, const struct contents *claim,
                             size_t index, const struct difference *difference);

/* Adds the finding that no layer was examined. */
void findings_add_nothing(struct file_findings *findings);

#endif
