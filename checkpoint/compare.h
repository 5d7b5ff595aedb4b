/* SPDX-License-Identifier: Apache-2.0 */
/* Findings about tensors that should be equal byte for byte, and about a verification
 * that examined nothing. */
#ifndef CHECKPOINT_COMPARE_H
#define CHECKPOINT_COMPARE_H

#include "checkpoint/difference.h"
#include "checkpoint/findings.h"

/* Do the two have the same type and shape? */
bool entries_have_same_form(const struct tensor_entry *a, const struct tensor_entry *b);

/* Adds a finding and returns true if tensor `index` of the claim has another type or
 * shape than `latents`. Its bytes need no comparison then. */
bool findings_add_form(struct file_findings *findings, const struct contents *claim,
                       size_t index, const struct tensor_entry *latents);

/* Adds a finding if the tensor differs from the latents. All bytes of the tensor must
 * have been given to `difference`. */
void findings_add_difference(struct file_findings *findings, const struct contents *claim,
                             size_t index, const struct difference *difference);

/* Adds the finding that no layer was examined. */
void findings_add_nothing(struct file_findings *findings);

#endif
