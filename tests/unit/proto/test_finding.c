/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/finding.h"

#include <string.h>

#include "tests/lib/check.h"

/* Every kind has a name of its own, and the name leads back to it. */
CASE(names, "every kind is found by its name")
{
    for (int kind = 1; kind < TRIT_FINDING_KINDS; kind++) {
        const char *name = finding_kind_name((enum trit_finding_kind)kind);

        CHECK(strcmp(name, "unknown") != 0);
        CHECK(strlen(name) < 32);
        CHECK_EQ(finding_kind_by_name(name), kind);
    }
    CHECK_EQ(finding_kind_by_name("no_such_kind"), TRIT_FINDING_UNKNOWN);
    CHECK_STR(finding_kind_name((enum trit_finding_kind)1000), "unknown");
}

/* A kind or severity that this build does not know is an error, never a pass. */
CASE(unknown, "a finding of a kind unknown to this build is an error")
{
    CHECK_EQ(finding_severity(TRIT_FINDING_UNKNOWN), TRIT_SEVERITY_ERROR);
    CHECK_EQ(finding_severity((enum trit_finding_kind)1000), TRIT_SEVERITY_ERROR);
    CHECK_EQ(severity_by_name("fatal"), TRIT_SEVERITY_ERROR);
    CHECK_EQ(verdict_of((enum trit_severity)9), TRIT_VERDICT_FAIL);
}

CASE(worse, "a fail is worse than an inconclusive verdict, and that is worse than a pass")
{
    static const enum trit_verdict order[] = {
        TRIT_VERDICT_PASS, TRIT_VERDICT_INCONCLUSIVE, TRIT_VERDICT_FAIL};

    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            CHECK_EQ(verdict_is_worse(order[i], order[j]), i > j);
}

/* The worst finding decides the verdict. */
CASE(verdicts, "the worst finding decides the verdict")
{
    struct trit_report report = {.is_ternary = true};

    CHECK_EQ(report_verdict(&report), TRIT_VERDICT_PASS);
    report_find(&report, TRIT_FINDING_SCALE_ROUNDED);
    report_find(&report, TRIT_FINDING_DEAD_GROUPS);
    CHECK_EQ(report_verdict(&report), TRIT_VERDICT_PASS);
    report_find(&report, TRIT_FINDING_FOREIGN_PACKING);
    CHECK_EQ(report_verdict(&report), TRIT_VERDICT_INCONCLUSIVE);
    report_find(&report, TRIT_FINDING_DEAD_LAYER);
    CHECK_EQ(report_verdict(&report), TRIT_VERDICT_FAIL);
}

/* A report without findings fails where its figures say so. */
CASE(figures, "without findings the verdict is derived from the report's figures")
{
    struct trit_report report = {.is_ternary = false};

    CHECK_EQ(report_verdict(&report), TRIT_VERDICT_FAIL);
    report = (struct trit_report){.is_ternary = true, .non_finite = 1};
    CHECK_EQ(report_verdict(&report), TRIT_VERDICT_FAIL);
    report = (struct trit_report){
        .is_ternary = true, .has_reference = true, .reference_mismatches = 1};
    CHECK_EQ(report_verdict(&report), TRIT_VERDICT_FAIL);
}

/* Findings stand in order of severity, those of one severity as they were found. */
CASE(order, "findings are in order of severity")
{
    static const enum trit_finding_kind expected[] = {
        TRIT_FINDING_NOT_TERNARY, TRIT_FINDING_DEAD_LAYER, TRIT_FINDING_DEAD_GROUPS,
        TRIT_FINDING_SCALE_SUBNORMAL, TRIT_FINDING_SCALE_ROUNDED};
    struct trit_report report = {0};

    report_find(&report, TRIT_FINDING_DEAD_GROUPS);
    report_find(&report, TRIT_FINDING_NOT_TERNARY);
    report_find(&report, TRIT_FINDING_SCALE_ROUNDED);
    report_find(&report, TRIT_FINDING_SCALE_SUBNORMAL);
    report_find(&report, TRIT_FINDING_DEAD_LAYER);
    CHECK_EQ(report.finding_count, 5);
    for (size_t i = 0; i < 5; i++)
        CHECK_EQ(report.findings[i].kind, expected[i]);
    CHECK(report_finding(&report, TRIT_FINDING_DEAD_GROUPS) == &report.findings[2]);
    CHECK(!report_finding(&report, TRIT_FINDING_SCALE_LOST));
}

/* A report holds TRIT_FINDINGS_MAX findings and no more. */
CASE(full, "a report holds no more findings than its bound")
{
    struct trit_report report = {0};

    for (int i = 0; i < TRIT_FINDINGS_MAX; i++)
        CHECK(report_find(&report, TRIT_FINDING_NOT_TERNARY));
    CHECK(!report_find(&report, TRIT_FINDING_NOT_TERNARY));
    CHECK_EQ(report.finding_count, TRIT_FINDINGS_MAX);
}
