/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to explain: matrices with one scale. */
#ifndef CHECKPOINT_EXPLAIN_TENSOR_H
#define CHECKPOINT_EXPLAIN_TENSOR_H

#include "checkpoint/explained.h"
#include "checkpoint/findings.h"

/* For a claim with groups: adds granularity_differs and returns true if the whole claim
 * has one magnitude, the mean magnitude of all latents. */
bool explain_granularity(struct file_findings *findings, const char *layer,
                         const struct explained *what);

/* For a claim with one scale: adds scale_reciprocal if it is 1 / mean. If config.json
 * declares reciprocals, a reciprocal rounded to its type is no difference (scales_differ
 * becomes a note), and the mean itself is one (scales_differ is added). */
void explain_tensor_scale(struct file_findings *findings, const char *layer,
                          const struct explained *what);

#endif
