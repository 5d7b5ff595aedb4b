/* SPDX-License-Identifier: Apache-2.0 */
#include "finding.h"

#include <string.h>

static const struct {
    const char *name;
    enum trit_severity severity;
} kinds[TRIT_FINDING_KINDS] = {
    [TRIT_FINDING_UNKNOWN] = {"unknown", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_NOT_TERNARY] = {"not_ternary", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_NON_FINITE] = {"non_finite", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_CODE_OUT_OF_RANGE] = {"code_out_of_range", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_SCALE_NON_FINITE] = {"scale_non_finite", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_SCALE_NEGATIVE] = {"scale_negative", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_SCALE_ZERO_UNDER_CODES] = {"scale_zero_under_codes",
                                             TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_SCALE_LOST] = {"scale_lost", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_SCALE_RECIPROCAL] = {"scale_reciprocal", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_DEAD_LAYER] = {"dead_layer", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_CODES_DIFFER] = {"codes_differ", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_SCALES_DIFFER] = {"scales_differ", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_DEAD_GROUPS] = {"dead_groups", TRIT_SEVERITY_WARNING},
    [TRIT_FINDING_SCALE_SUBNORMAL] = {"scale_subnormal", TRIT_SEVERITY_WARNING},
    [TRIT_FINDING_BASE3_NON_CANONICAL] = {"base3_non_canonical", TRIT_SEVERITY_WARNING},
    [TRIT_FINDING_SCALE_ROUNDED] = {"scale_rounded", TRIT_SEVERITY_NOTE},
    [TRIT_FINDING_ROTATED_BASIS] = {"rotated_basis", TRIT_SEVERITY_NOTE},
    [TRIT_FINDING_THRESHOLD_DIFFERS] = {"threshold_differs", TRIT_SEVERITY_NOTE},
    [TRIT_FINDING_GRANULARITY_DIFFERS] = {"granularity_differs", TRIT_SEVERITY_NOTE},
    [TRIT_FINDING_PARTIAL_GROUP_DIFFERS] = {"partial_group_differs", TRIT_SEVERITY_NOTE},
    [TRIT_FINDING_MISSING_LAYER] = {"missing_layer", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_RENAMED] = {"renamed", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_MISSING_TENSOR] = {"missing_tensor", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_OTHER_TENSOR_DIFFERS] = {"other_tensor_differs", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_TRUNCATED] = {"truncated", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_INDEX_DISAGREES] = {"index_disagrees", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_DUPLICATE] = {"duplicate", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_SHARD_CUTS_GROUP] = {"shard_cuts_group", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_EXTRA_LAYER] = {"extra_layer", TRIT_SEVERITY_WARNING},
    [TRIT_FINDING_EXTRA_TENSOR] = {"extra_tensor", TRIT_SEVERITY_WARNING},
    [TRIT_FINDING_FOREIGN_PACKING] = {"foreign_packing", TRIT_SEVERITY_UNDECIDED},
    [TRIT_FINDING_UNKNOWN_DTYPE] = {"unknown_dtype", TRIT_SEVERITY_UNDECIDED},
    [TRIT_FINDING_KEPT_BY_RECORD] = {"kept_by_record", TRIT_SEVERITY_UNDECIDED},
    [TRIT_FINDING_NOTHING_EXAMINED] = {"nothing_examined", TRIT_SEVERITY_UNDECIDED},
    [TRIT_FINDING_NOT_IN_INDEX] = {"not_in_index", TRIT_SEVERITY_WARNING},
    [TRIT_FINDING_SHARDS_MISSING] = {"shards_missing", TRIT_SEVERITY_UNDECIDED},
    [TRIT_FINDING_FILE_DIFFERS] = {"file_differs", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_MISSING_FILE] = {"missing_file", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_EXTRA_FILE] = {"extra_file", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_DIGEST_DIFFERS] = {"digest_differs", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_ATTESTATION_DIFFERS] = {"attestation_differs", TRIT_SEVERITY_ERROR},
    [TRIT_FINDING_REPLICA_EQUAL] = {"replica_equal", TRIT_SEVERITY_NOTE},
    [TRIT_FINDING_CONFIG_DISAGREES] = {"config_disagrees", TRIT_SEVERITY_ERROR},
};

static const char *const severities[] = {
    [TRIT_SEVERITY_NOTE] = "note",
    [TRIT_SEVERITY_WARNING] = "warning",
    [TRIT_SEVERITY_UNDECIDED] = "undecided",
    [TRIT_SEVERITY_ERROR] = "error",
};

enum { SEVERITIES = sizeof(severities) / sizeof(severities[0]) };

const char *finding_kind_name(enum trit_finding_kind kind)
{
    return (size_t)kind < TRIT_FINDING_KINDS ? kinds[kind].name : "unknown";
}

enum trit_finding_kind finding_kind_by_name(const char *name)
{
    for (size_t i = 0; i < TRIT_FINDING_KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return (enum trit_finding_kind)i;
    return TRIT_FINDING_UNKNOWN;
}

enum trit_severity finding_severity(enum trit_finding_kind kind)
{
    return (size_t)kind < TRIT_FINDING_KINDS ? kinds[kind].severity : TRIT_SEVERITY_ERROR;
}

const char *severity_name(enum trit_severity severity)
{
    return (size_t)severity < SEVERITIES ? severities[severity] : "error";
}

enum trit_severity severity_by_name(const char *name)
{
    for (size_t i = 0; i < SEVERITIES; i++)
        if (strcmp(severities[i], name) == 0)
            return (enum trit_severity)i;
    return TRIT_SEVERITY_ERROR;
}

const char *verdict_name(enum trit_verdict verdict)
{
    switch (verdict) {
    case TRIT_VERDICT_PASS:
        return "pass";
    case TRIT_VERDICT_INCONCLUSIVE:
        return "inconclusive";
    case TRIT_VERDICT_FAIL:
        break;
    }
    return "fail";
}

enum trit_verdict verdict_of(enum trit_severity worst)
{
    switch (worst) {
    case TRIT_SEVERITY_NOTE:
    case TRIT_SEVERITY_WARNING:
        return TRIT_VERDICT_PASS;
    case TRIT_SEVERITY_UNDECIDED:
        return TRIT_VERDICT_INCONCLUSIVE;
    case TRIT_SEVERITY_ERROR:
        break;
    }
    return TRIT_VERDICT_FAIL;
}

static int badness(enum trit_verdict verdict)
{
    return verdict == TRIT_VERDICT_FAIL ? 2 : verdict == TRIT_VERDICT_INCONCLUSIVE;
}

bool verdict_is_worse(enum trit_verdict verdict, enum trit_verdict than)
{
    return badness(verdict) > badness(than);
}

enum trit_verdict report_verdict_by_findings(const struct trit_report *report)
{
    enum trit_severity worst = TRIT_SEVERITY_NOTE;

    for (uint32_t i = 0; i < report->finding_count; i++)
        if (report->findings[i].severity > worst)
            worst = report->findings[i].severity;
    return verdict_of(worst);
}

enum trit_verdict report_verdict(const struct trit_report *report)
{
    const bool complete = !report_finding(report, TRIT_FINDING_SHARDS_MISSING);

    if ((!report->is_ternary && complete) || report->non_finite > 0 ||
        (report->has_reference && report->reference_mismatches > 0))
        return TRIT_VERDICT_FAIL;
    return report_verdict_by_findings(report);
}

struct trit_finding *report_find(struct trit_report *report, enum trit_finding_kind kind)
{
    enum trit_severity severity = finding_severity(kind);
    uint32_t at = report->finding_count;

    if (at == TRIT_FINDINGS_MAX)
        return NULL;
    while (at > 0 && report->findings[at - 1].severity < severity) {
        report->findings[at] = report->findings[at - 1];
        at--;
    }
    report->finding_count++;
    report->findings[at] = (struct trit_finding){.kind = kind, .severity = severity};
    return &report->findings[at];
}

const struct trit_finding *report_finding(const struct trit_report *report,
                                          enum trit_finding_kind kind)
{
    for (uint32_t i = 0; i < report->finding_count; i++)
        if (report->findings[i].kind == kind)
            return &report->findings[i];
    return NULL;
}
