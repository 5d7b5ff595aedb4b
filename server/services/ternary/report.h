/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a tensor whose tiles are all merged. */
#ifndef TERNARY_REPORT_H
#define TERNARY_REPORT_H

#include "services/ternary/merge.h"

/* Fills what the plan determines: dtype, shape, group size, counts. */
void report_identify(struct trit_report *report, const struct plan *plan);

/* Fills what the tiles determine, findings and digest included. The caller fills run,
 * layer, step, version and time; the store fills the fields of earlier steps. */
void report_of_merge(struct trit_report *report, struct merge *merge,
                     const struct task *task);

#endif
