/* SPDX-License-Identifier: Apache-2.0 */
/* What a report comes to, in a cell of a table. */
#include "client/cli/summary.h"
#include "tests/lib/check.h"

CASE(says_why_a_layer_fails, "a verdict says why a layer fails")
{
    struct trit_report report = {.is_ternary = true, .fraction_valid = 1};
    char text[VERDICT_BYTES];

    CHECK(report_passes(&report));
    CHECK_STR(verdict_text(text, &report), "ternary");
    report.has_reference = true;
    CHECK_STR(verdict_text(text, &report), "ternary, as the reference");
    report.reference_mismatches = 3;
    report.first_mismatch = 70;
    CHECK(!report_passes(&report));
    CHECK_STR(verdict_text(text, &report), "MISMATCH: 3 weights, first at 70");
    report.is_ternary = false;
    report.fraction_valid = 0.99999;
    CHECK_STR(verdict_text(text, &report), "NOT TERNARY: 99.99 % valid");
    report.non_finite = 2;
    CHECK_STR(verdict_text(text, &report), "NOT TERNARY: 2 not finite");
}

CASE(names_the_worst_finding, "a verdict names the worst finding")
{
    struct trit_report report = {
        .is_ternary = true,
        .finding_count = 2,
        .findings = {
            {.kind = TRIT_FINDING_SCALE_NEGATIVE, .severity = TRIT_SEVERITY_ERROR},
            {.kind = TRIT_FINDING_DEAD_GROUPS, .severity = TRIT_SEVERITY_WARNING}}};
    char text[VERDICT_BYTES];

    CHECK_STR(verdict_text(text, &report), "FAIL: scale_negative");
    report.findings[0] = report.findings[1];
    CHECK_STR(verdict_text(text, &report), "ternary");
    CHECK(report_passes(&report));
    report = (struct trit_report){.is_ternary = true, .elements = 9, .zeros = 9};
    CHECK_STR(verdict_text(text, &report), "FAIL: dead_layer");
}
