/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a tensor whose tiles are all merged. */
#ifndef TERNARY_REPORT_H
#define TERNARY_REPORT_H

#include "services/ternary/merge.h"

/* What the plan alone determines: dtype, shape, groups. */
void report_identify(struct trit_report *report, const struct plan *plan);

/* Fills all that the tiles determine, findings included; run, layer, step, version and
 * the fields of earlier steps are the caller's. Ends the digest. */
void report_of_merge(struct trit_report *report, struct merge *merge,
                     const struct task *task);

#endif
