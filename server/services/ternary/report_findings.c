/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/report_findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/finding.h"

/* "expected" and "got" as text; the shortest digits that say the float apart. */
static void put_value(char out[TRIT_FINDING_VALUE_BYTES_MAX + 1], float value)
{
    for (int digits = 6; digits <= 9; digits++) {
        float back = 0;

        snprintf(out, TRIT_FINDING_VALUE_BYTES_MAX + 1, "%.*g", digits, (double)value);
        if (sscanf(out, "%f", &back) == 1 && back == value)
            return;
    }
}

static void put_hint(struct trit_finding *finding, const char *hint)
{
    snprintf(finding->hint, sizeof(finding->hint), "%s", hint);
}

/* A finding about elements, the first of which stands at occurrences->first. */
static struct trit_finding *find_elements(struct trit_report *report,
                                          enum trit_finding_kind kind,
                                          const struct occurrences *occurrences,
                                          const char *hint)
{
    struct trit_finding *finding;

    if (occurrences->count == 0)
        return NULL;
    finding = report_find(report, kind);
    if (!finding)
        return NULL;
    finding->has_index = finding->has_count = true;
    finding->index = occurrences->first;
    finding->count = occurrences->count;
    put_hint(finding, hint);
    return finding;
}

/* The same about groups. */
static struct trit_finding *find_groups(struct trit_report *report,
                                        enum trit_finding_kind kind,
                                        const struct occurrences *occurrences,
                                        const char *hint)
{
    struct trit_finding *finding = find_elements(report, kind, occurrences, hint);

    if (!finding)
        return NULL;
    finding->has_index = false;
    finding->index = 0;
    finding->has_group = true;
    finding->group = occurrences->first;
    return finding;
}

static bool is_packed(const struct task *task)
{
    return task->op == TASK_VERIFY && task->plan.spec.in != TRIT_ENCODING_DENSE;
}

static void find_values(struct trit_report *report, const struct merge *merge,
                        const struct task *task)
{
    const struct ternary_check *check = &merge->check;
    const struct occurrences non_finite = {merge->counts.non_finite,
                                           merge->counts.first_non_finite};
    struct trit_finding *finding;

    if (is_packed(task)) {
        finding = find_elements(report, TRIT_FINDING_CODE_OUT_OF_RANGE, &check->invalid,
                                "a ternary code is -1, 0 or +1; pack the weights again");
    } else {
        find_elements(report, TRIT_FINDING_NON_FINITE, &non_finite,
                      "weights must be finite; look for the step that made them NaN or "
                      "infinite");
        finding = find_elements(report, TRIT_FINDING_NOT_TERNARY, &check->invalid,
                                "a group's weights must be 0 or one magnitude; project "
                                "the latents, or check group_size");
    }
    if (!finding)
        return;
    snprintf(finding->expected, sizeof(finding->expected), "-1, 0 or 1");
    put_value(finding->got, check->first_invalid);
}

static void find_scales(struct trit_report *report, const struct merge *merge)
{
    const struct ternary_check *check = &merge->check;
    struct trit_finding *finding;

    finding =
        find_groups(report, TRIT_FINDING_SCALE_NON_FINITE, &check->scales_non_finite,
                    "a scale must be finite; pack the weights again");
    if (finding)
        put_value(finding->got, check->first_non_finite_scale);
    finding = find_groups(report, TRIT_FINDING_SCALE_NEGATIVE, &check->scales_negative,
                          "a scale must be positive: a reader would flip every sign of "
                          "the group");
    if (finding)
        put_value(finding->got, check->first_negative_scale);
    find_groups(report, TRIT_FINDING_SCALE_ZERO_UNDER_CODES, &check->scales_zero,
                "nonzero codes under a scale of 0 read as zeros; pack the weights again");
    finding = find_groups(report, TRIT_FINDING_SCALE_LOST, &merge->lost,
                          "the output's type rounds this scale to 0 or infinity; use f32 "
                          "or int8, or scale the weights");
    if (finding)
        put_value(finding->got, merge->lost_scale);
}

/* All weights are zero, or more than half of the groups hold nothing else. A layer with
 * NaN or infinity is not dead. A projection may be all zeros although no group of the
 * latents is: their means round to 0. */
static void find_dead(struct trit_report *report)
{
    const bool dead = !report->non_finite && (report->zero_groups == report->groups ||
                                              report->zeros == report->elements);
    struct trit_finding *finding;

    if (!dead && report->zero_groups * 2 <= report->groups)
        return;
    finding =
        report_find(report, dead ? TRIT_FINDING_DEAD_LAYER : TRIT_FINDING_DEAD_GROUPS);
    if (!finding)
        return;
    finding->has_count = true;
    finding->count = dead ? report->groups : report->zero_groups;
    put_hint(finding, dead ? "every weight is 0: the layer computes nothing"
                           : "more than half of the groups hold only zeros");
}

static void find_mismatches(struct trit_report *report, const struct merge *merge)
{
    const struct ternary_check *check = &merge->check;
    struct trit_finding *finding;

    finding =
        find_elements(report, TRIT_FINDING_CODES_DIFFER, &check->code_mismatches,
                      "the codes are not those of the latents' projection; check "
                      "group_size, partial_group and that the latents are the same");
    if (finding) {
        snprintf(finding->expected, sizeof(finding->expected), "%d",
                 (int)check->expected_trit);
        snprintf(finding->got, sizeof(finding->got), "%d", (int)check->found_trit);
    }
    finding =
        find_groups(report, TRIT_FINDING_SCALES_DIFFER, &check->scale_mismatches,
                    "the scales are not the mean magnitudes of the latents' groups, "
                    "rounded to the type that holds them");
    if (finding) {
        put_value(finding->expected, check->expected_scale);
        put_value(finding->got, check->found_scale);
    }
    finding = find_groups(report, TRIT_FINDING_SCALE_LOST, &check->reference_lost,
                          "the type that holds the scales rounds this one of the "
                          "latents' projection to 0 or infinity");
    if (finding)
        put_value(finding->got, check->lost_scale);
    if (check->mismatches == 0 || report_verdict_by_findings(report) == TRIT_VERDICT_FAIL)
        return;
    finding = report_find(report, TRIT_FINDING_SCALES_DIFFER);
    if (!finding)
        return;
    finding->has_index = finding->has_count = true;
    finding->index = check->first_mismatch;
    finding->count = check->mismatches;
    put_hint(finding,
             "weights that the tolerance takes for ternary are not exactly their "
             "group's magnitude");
}

/* Latents that are NaN or infinite have no projection. */
static void find_reference(struct trit_report *report, const struct merge *merge)
{
    const struct occurrences *infinite = &merge->check.reference_infinite;
    struct trit_finding *finding =
        find_elements(report, TRIT_FINDING_NON_FINITE, infinite,
                      "the reference holds NaN or infinity, which has no projection");

    if (finding)
        snprintf(finding->got, sizeof(finding->got), "in the reference");
}

void report_findings(struct trit_report *report, const struct merge *merge,
                     const struct task *task)
{
    find_values(report, merge, task);
    find_scales(report, merge);
    find_dead(report);
    if (!task->has_reference)
        return;
    find_reference(report, merge);
    find_mismatches(report, merge);
}
