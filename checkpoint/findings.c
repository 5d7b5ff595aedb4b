/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/findings.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "proto/finding.h"
#include "proto/report_json.h"
#include "proto/utf8.h"

static const size_t STRING_BYTES_MAX = 256u << 20;

void findings_init(struct file_findings *findings)
{
    *findings = (struct file_findings){.list = NULL};
    arena_init(&findings->strings, STRING_BYTES_MAX);
}

void findings_fini(struct file_findings *findings)
{
    free(findings->list);
    arena_fini(&findings->strings);
    findings_init(findings);
}

static bool copy_name(struct file_findings *findings, const char *name, const char **copy)
{
    *copy = name ? arena_strndup(&findings->strings, name, strlen(name)) : NULL;
    return *copy || !name;
}

bool findings_tell_lack(const struct file_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        switch (findings->list[i].finding.kind) {
        case TRIT_FINDING_INDEX_DISAGREES:
        case TRIT_FINDING_MISSING_LAYER:
        case TRIT_FINDING_TRUNCATED:
            return true;
        default:
            break;
        }
    return false;
}

bool findings_tell_part(const struct file_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct trit_finding *one = &findings->list[i].finding;

        if (one->kind == TRIT_FINDING_NOT_IN_INDEX &&
            one->severity == TRIT_SEVERITY_UNDECIDED)
            return true;
    }
    return false;
}

struct trit_finding *findings_add(struct file_findings *findings,
                                  enum trit_finding_kind kind, const char *layer,
                                  const char *tensor)
{
    struct file_finding added = {
        .finding = {.kind = kind, .severity = finding_severity(kind)}};
    struct file_finding *list = array_grow(findings->list, &findings->capacity,
                                           findings->count + 1, sizeof(*list));

    if (!list) {
        findings->lost = true;
        return NULL;
    }
    findings->list = list;
    if (!copy_name(findings, layer, &added.layer) ||
        !copy_name(findings, tensor, &added.tensor)) {
        findings->lost = true;
        return NULL;
    }
    findings->list[findings->count] = added;
    return &findings->list[findings->count++].finding;
}

struct trit_finding *findings_add_missing(struct file_findings *findings, bool is_layer,
                                          const char *name)
{
    return is_layer ? findings_add(findings, TRIT_FINDING_MISSING_LAYER, name, NULL)
                    : findings_add(findings, TRIT_FINDING_MISSING_TENSOR, NULL, name);
}

/* ---- of reports -------------------------------------------------------------- */

static bool has_error(const struct trit_report *report)
{
    for (uint32_t i = 0; i < report->finding_count; i++)
        if (report->findings[i].severity == TRIT_SEVERITY_ERROR)
            return true;
    return false;
}

/* Findings derived from the report's fields, for a daemon that reports none. */
static void add_fields(struct file_findings *findings, const char *layer,
                       const struct trit_report *report)
{
    struct trit_finding *added = NULL;

    if (report->non_finite) {
        added = findings_add(findings, TRIT_FINDING_NON_FINITE, layer, NULL);
        if (added) {
            added->has_count = true;
            added->count = report->non_finite;
        }
    } else if (!report->is_ternary) {
        added = findings_add(findings, TRIT_FINDING_NOT_TERNARY, layer, NULL);
        if (added)
            snprintf(added->got, sizeof(added->got), "%.4f %% of the weights ternary",
                     report->fraction_valid * 100);
    } else if (report->has_reference && report->reference_mismatches) {
        added = findings_add(findings, TRIT_FINDING_CODES_DIFFER, layer, NULL);
        if (added) {
            added->has_count = added->has_index = true;
            added->count = report->reference_mismatches;
            added->index = report->first_mismatch;
        }
    }
}

static void judge_dead(struct trit_finding *finding, bool allow_dead)
{
    static const char option[] = "; --allow-dead accepts that";
    const size_t length = strlen(finding->hint);

    if (allow_dead)
        finding->severity = TRIT_SEVERITY_WARNING;
    else if (length + sizeof(option) <= sizeof(finding->hint))
        memcpy(finding->hint + length, option, sizeof(option));
}

void findings_add_report(struct file_findings *findings, const char *layer,
                         const struct trit_report *report, bool allow_dead)
{
    const size_t first = findings->count;
    struct trit_finding *added;

    for (uint32_t i = 0; i < report->finding_count; i++) {
        added = findings_add(findings, report->findings[i].kind, layer, NULL);
        if (added)
            *added = report->findings[i];
    }
    if (report_verdict(report) == TRIT_VERDICT_FAIL && !has_error(report))
        add_fields(findings, layer, report);
    if (!report_finding(report, TRIT_FINDING_DEAD_LAYER) && report->elements > 0 &&
        report->zeros == report->elements && !report->non_finite) {
        added = findings_add(findings, TRIT_FINDING_DEAD_LAYER, layer, NULL);
        if (added)
            snprintf(added->hint, sizeof(added->hint), "every weight is zero");
    }
    for (size_t i = first; i < findings->count; i++)
        if (findings->list[i].finding.kind == TRIT_FINDING_DEAD_LAYER)
            judge_dead(&findings->list[i].finding, allow_dead);
}

void finding_set_hint(struct trit_finding *finding, const char *text)
{
    if (finding)
        snprintf(finding->hint, sizeof(finding->hint), "%.*s",
                 (int)utf8_cut(text, strnlen(text, TRIT_FINDING_HINT_BYTES_MAX)), text);
}

struct file_finding *findings_find(struct file_findings *findings,
                                   enum trit_finding_kind kind, const char *layer)
{
    for (size_t i = findings->count; i > 0; i--) {
        struct file_finding *one = &findings->list[i - 1];

        if (one->finding.kind == kind && one->layer && strcmp(one->layer, layer) == 0)
            return one;
    }
    return NULL;
}

void findings_hint(struct file_findings *findings, enum trit_finding_kind kind,
                   const char *layer, const char *text)
{
    struct file_finding *found = findings_find(findings, kind, layer);

    if (found)
        finding_set_hint(&found->finding, text);
}

/* ---- verdict, text, JSON ---------------------------------------------------------- */

enum trit_verdict findings_verdict(const struct file_findings *findings)
{
    enum trit_severity worst = findings->lost ? TRIT_SEVERITY_ERROR : TRIT_SEVERITY_NOTE;

    for (size_t i = 0; i < findings->count; i++)
        if (findings->list[i].finding.severity > worst)
            worst = findings->list[i].finding.severity;
    return verdict_of(worst);
}

/* Appends the text, truncated if it does not fit. */
static void append(char *text, size_t *length, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void append(char *text, size_t *length, const char *format, ...)
{
    va_list args;
    int added;

    if (*length >= FINDING_TEXT_BYTES - 1)
        return;
    va_start(args, format);
    added = vsnprintf(text + *length, FINDING_TEXT_BYTES - *length, format, args);
    va_end(args);
    *length += added > 0 ? (size_t)added : 0;
}

const char *finding_text(char text[FINDING_TEXT_BYTES],
                         const struct file_finding *finding)
{
    const struct trit_finding *f = &finding->finding;
    size_t length = 0;

    append(text, &length, "%s: ", severity_name(f->severity));
    if (finding->layer)
        append(text, &length, "%s: ", finding->layer);
    if (finding->tensor)
        append(text, &length, "%s: ", finding->tensor);
    append(text, &length, "%s", finding_kind_name(f->kind));
    if (f->has_index)
        append(text, &length, " at element %" PRIu64, f->index);
    if (f->has_group)
        append(text, &length, "%s group %" PRIu64, f->has_index ? "," : " at", f->group);
    if (f->expected[0])
        append(text, &length, ", expected %s", f->expected);
    if (f->got[0])
        append(text, &length, ", got %s", f->got);
    if (f->has_count)
        append(text, &length, ", %" PRIu64 " in all", f->count);
    if (f->hint[0])
        append(text, &length, ": %s", finding->hint ? finding->hint : f->hint);
    return text;
}

json_t *findings_json(const struct file_findings *findings)
{
    json_t *array = json_array();
    int result = array ? 0 : -1;

    for (size_t i = 0; i < findings->count && result == 0; i++) {
        const struct file_finding *one = &findings->list[i];
        json_t *json = finding_json(&one->finding);

        if (json && one->layer)
            result |= json_object_set_new(json, "layer", json_string(one->layer));
        if (json && one->tensor)
            result |= json_object_set_new(json, "tensor", json_string(one->tensor));
        if (json && one->hint)
            result |= json_object_set_new(json, "hint", json_string(one->hint));
        result |= json_array_append_new(array, json);
    }
    if (result == 0)
        return array;
    json_decref(array);
    return NULL;
}
