/* SPDX-License-Identifier: Apache-2.0 */
/* Finds reasons why a matrix of a file is not the projection of its latents. It counts
 * which codes changed to which, and measures how far the scales are off. It then tries
 * whether another group size, partial-group rule, threshold or type of scale, or the
 * reciprocal of the scale, explains the difference. This costs several projections, so
 * use it only for a matrix that is known to differ. */
#ifndef CHECKPOINT_EXPLAIN_H
#define CHECKPOINT_EXPLAIN_H

#include "checkpoint/explained.h"
#include "checkpoint/findings.h"

/* Matrices of a file; each costs several projections. Those with one scale cost a mean, and are
 * all explained. */
enum { EXPLAINED_MAX = 16 };

/* Describes the difference in the hints of the layer's findings codes_differ and
 * scales_differ. Adds a finding for each reason that explains the whole difference:
 * threshold_differs, granularity_differs, partial_group_differs, scale_rounded,
 * scale_reciprocal. For encodings with one scale for the tensor, only that scale is
 * examined. Adds nothing if memory runs out. */
void findings_explain(struct file_findings *findings, const char *layer,
                      const struct explained *what);

/* Is one of the findings from the index `first` on about codes or scales that differ? */
bool findings_have_mismatch(const struct file_findings *findings, size_t first);

#endif
