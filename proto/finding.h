/* SPDX-License-Identifier: Apache-2.0 */
/* What a verification can find, by name, and what follows from it. The kinds and
 * their severities: design, "The verdict"; listed in proto/README.md. */
#ifndef PROTO_FINDING_H
#define PROTO_FINDING_H

#include "trit/types.h"

/* "not_ternary"; "unknown" for a kind that this build does not know. */
const char *finding_kind_name(enum trit_finding_kind kind);
enum trit_finding_kind finding_kind_by_name(const char *name);

/* The severity that findings of this kind have unless a rule says otherwise. */
enum trit_severity finding_severity(enum trit_finding_kind kind);

const char *severity_name(enum trit_severity severity); /* "error" */
/* An unknown name gives TRIT_SEVERITY_ERROR: a finding that this build cannot
 * judge must not become a pass. */
enum trit_severity severity_by_name(const char *name);

const char *verdict_name(enum trit_verdict verdict); /* "pass" */

/* The verdict that findings whose worst severity is `worst` lead to. */
enum trit_verdict verdict_of(enum trit_severity worst);

/* fail where a finding is an error, or where the report is not ternary or has
 * mismatches (reports of a daemon that knew no findings); else inconclusive where
 * one is undecided; else pass. */
enum trit_verdict report_verdict(const struct trit_report *report);

/* The same from the findings alone. */
enum trit_verdict report_verdict_by_findings(const struct trit_report *report);

/* Adds a finding of this kind with its own severity to the report, in order of
 * severity, and returns it for its other fields to be filled in; NULL where the
 * report holds TRIT_FINDINGS_MAX already. */
struct trit_finding *report_find(struct trit_report *report, enum trit_finding_kind kind);

/* The report's finding of this kind, or NULL. */
const struct trit_finding *report_finding(const struct trit_report *report,
                                          enum trit_finding_kind kind);

#endif
