/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of findings of a verification, their names and severities, and the verdict
 * that follows from them. proto/README.md lists them. */
#ifndef PROTO_FINDING_H
#define PROTO_FINDING_H

#include "trit/types.h"

/* "not_ternary"; "unknown" for a kind that this build does not know. */
const char *finding_kind_name(enum trit_finding_kind kind);
enum trit_finding_kind finding_kind_by_name(const char *name);

/* The severity that findings of this kind have unless a rule says otherwise. */
enum trit_severity finding_severity(enum trit_finding_kind kind);

const char *severity_name(enum trit_severity severity); /* "error" */
/* An unknown name gives TRIT_SEVERITY_ERROR: a finding that this build does not know must
 * not lead to a pass. */
enum trit_severity severity_by_name(const char *name);

const char *verdict_name(enum trit_verdict verdict); /* "pass" */

/* The verdict of findings whose worst severity is `worst`. */
enum trit_verdict verdict_of(enum trit_severity worst);

/* A fail is worse than an inconclusive verdict, which is worse than a pass. */
bool verdict_is_worse(enum trit_verdict verdict, enum trit_verdict than);

/* Fail if a finding is an error; else inconclusive if one is undecided; else pass. A
 * report from an old daemon has no findings; it fails if it is not ternary or has
 * mismatches. */
enum trit_verdict report_verdict(const struct trit_report *report);

/* The same, but looks only at the findings. */
enum trit_verdict report_verdict_by_findings(const struct trit_report *report);

/* Adds a finding of this kind to the report, in order of severity. The caller fills
 * the other fields of the finding that it returns. NULL: the report already holds
 * TRIT_FINDINGS_MAX findings. */
struct trit_finding *report_find(struct trit_report *report, enum trit_finding_kind kind);

/* The report's finding of this kind, or NULL. */
const struct trit_finding *report_finding(const struct trit_report *report,
                                          enum trit_finding_kind kind);

#endif
