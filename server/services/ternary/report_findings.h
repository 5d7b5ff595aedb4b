/* SPDX-License-Identifier: Apache-2.0 */
/* What a verification or projection found, as the findings of its report. */
#ifndef TERNARY_REPORT_FINDINGS_H
#define TERNARY_REPORT_FINDINGS_H

#include "services/ternary/merge.h"

/* Adds to a report whose other fields are filled. */
void report_findings(struct trit_report *report, const struct merge *merge,
                     const struct task *task);

#endif
