/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/report_findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/finding.h"

/* Writes a float with as many digits as are needed to read back the same value. */
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

/* Adds a finding about elements, if there are any. The first is occurrences->first. */
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

/* The same, about groups. */
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
    return task->op != TASK_TERNARIZE && task->plan.spec.in != TRIT_ENCODING_DENSE;
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
                                "a code must be -1, 0 or +1; pack the weights again");
    } else {
        find_elements(report, TRIT_FINDING_NON_FINITE, &non_finite,
                      "weights must be finite; find the training step that made them NaN "
                      "or infinite");
        finding = find_elements(report, TRIT_FINDING_NOT_TERNARY, &check->invalid,
                                "the weights of a group must be 0 or plus or minus one "
                                "magnitude; project the latents, or check group_size");
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
                          "a scale must be positive; this one flips every sign of its "
                          "group; pack the weights again");
    if (finding)
        put_value(finding->got, check->first_negative_scale);
    find_groups(report, TRIT_FINDING_SCALE_ZERO_UNDER_CODES, &check->scales_zero,
                "a scale of 0 turns nonzero codes into zeros; pack the weights again");
    finding = find_groups(report, TRIT_FINDING_SCALE_LOST, &merge->lost,
                          "the output's type rounds this scale to 0 or infinity; use f32 "
                          "or int8, or scale the weights");
    if (finding)
        put_value(finding->got, merge->lost_scale);
    find_groups(report, TRIT_FINDING_SCALE_ROUNDED, &merge->rounded,
                "the output's type does not hold this scale exactly; it was rounded to "
                "nearest even");
}

/* A layer is dead if all weights are zero and none is NaN or infinite. Groups are dead
 * if more than half of all groups are zeros only. A projection may be all zeros although
 * its latents are not: their means may round to 0. */
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
    put_hint(finding, dead ? "all weights are 0, so the layer computes nothing"
                           : "more than half of the groups have only zeros");
}

static void find_mismatches(struct trit_report *report, const struct merge *merge)
{
    const struct ternary_check *check = &merge->check;
    struct trit_finding *finding;

    finding =
        find_elements(report, TRIT_FINDING_CODES_DIFFER, &check->code_mismatches,
                      "the codes differ from those of the latents' projection; check "
                      "group_size, partial_group and that the latents are the same");
    if (finding) {
        snprintf(finding->expected, sizeof(finding->expected), "%d",
                 (int)check->expected_trit);
        snprintf(finding->got, sizeof(finding->got), "%d", (int)check->found_trit);
    }
    finding =
        find_groups(report, TRIT_FINDING_SCALES_DIFFER, &check->scale_mismatches,
                    "the scales differ from the mean magnitudes of the latents' groups, "
                    "rounded to the type of the scales");
    if (finding) {
        put_value(finding->expected, check->expected_scale);
        put_value(finding->got, check->found_scale);
    }
    finding = find_groups(report, TRIT_FINDING_SCALE_LOST, &check->reference_lost,
                          "the type of the scales rounds this scale of the latents' "
                          "projection to 0 or infinity");
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
    put_hint(finding, "some weights are ternary only within the tolerance, not exactly");
}

/* NaN and infinite latents have no projection. */
static void find_reference(struct trit_report *report, const struct merge *merge)
{
    const struct occurrences *infinite = &merge->check.reference_infinite;
    struct trit_finding *finding = find_elements(
        report, TRIT_FINDING_NON_FINITE, infinite,
        "the reference has NaN or infinity; a projection needs finite latents");

    if (finding)
        snprintf(finding->got, sizeof(finding->got), "in the reference");
}

/* Ternary values that are stored in a way that loses precision or that no encoder writes.
 * */
static void find_storage(struct trit_report *report, const struct merge *merge)
{
    const struct storage_check *storage = &merge->storage;
    struct trit_finding *finding;

    finding = find_groups(report, TRIT_FINDING_SCALE_SUBNORMAL, &storage->subnormal,
                          "a subnormal scale has few digits, and readers that flush "
                          "subnormals to zero lose the group; scale the weights");
    if (finding)
        put_value(finding->got, storage->first_subnormal);
    finding =
        find_groups(report, TRIT_FINDING_BASE3_NON_CANONICAL, &storage->non_canonical,
                    "bytes that no encoder writes; they decode to the same weights, but "
                    "hashes of the file differ");
    if (finding)
        snprintf(finding->got, sizeof(finding->got), "byte 0x%02x", storage->first_byte);
}

void report_findings(struct trit_report *report, const struct merge *merge,
                     const struct task *task)
{
    find_values(report, merge, task);
    find_scales(report, merge);
    find_storage(report, merge);
    find_dead(report);
    if (!task->has_reference)
        return;
    find_reference(report, merge);
    find_mismatches(report, merge);
}
