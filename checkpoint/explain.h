/* SPDX-License-Identifier: Apache-2.0 */
/* Why a matrix of a file is not the projection of its latents, as far as the values tell:
 * how many codes went from where to where, how far the scales are off, and whether another
 * group size, another division of a row's last group, another threshold, another type of
 * scale or its reciprocal explains it. For matrices that are known to differ: it costs
 * several projections. */
#ifndef CHECKPOINT_EXPLAIN_H
#define CHECKPOINT_EXPLAIN_H

#include "checkpoint/explained.h"
#include "checkpoint/findings.h"

/* Puts what differs into the hints of the layer's findings codes_differ and scales_differ,
 * and adds the reasons (threshold_differs, granularity_differs, partial_group_differs,
 * scale_rounded, scale_reciprocal) that explain all of it. Of encodings with
 * one scale for the tensor only that scale is looked at. Without memory nothing is added. */
enum { EXPLAINED_MAX = 16 }; /* matrices of a file; each costs several projections */
void findings_explain(struct file_findings *findings, const char *layer,
                      const struct explained *what);

/* Is one of the findings from the index `first` on about codes or scales that differ? */
bool findings_have_mismatch(const struct file_findings *findings, size_t first);

#endif
