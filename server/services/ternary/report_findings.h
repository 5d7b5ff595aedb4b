/* SPDX-License-Identifier: Apache-2.0 */
/* The findings of a verification or projection. */
#ifndef TERNARY_REPORT_FINDINGS_H
#define TERNARY_REPORT_FINDINGS_H

#include "services/ternary/merge.h"

/* Adds the findings to a report whose other fields are filled. */
void report_findings(struct trit_report *report, const struct merge *merge,
                     const struct task *task);

#endif
