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

struct trit_finding *findings_add(struct file_findings *findings,
                                  enum trit_finding_kind kind, const char *layer,
                                  const char *tensor)
{
    struct file_finding added = {
        .finding = {.kind = kind, .severity = finding_severity(kind)}};
    struct file_finding *list =
        array_grow(findings->list, &findings->room, findings->count + 1, sizeof(*list));

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
            snprintf(added->hint, sizeof(added->hint),
                     "every weight is zero; --allow-dead accepts that");
    }
    for (size_t i = first; i < findings->count && allow_dead; i++)
        if (findings->list[i].finding.kind == TRIT_FINDING_DEAD_LAYER)
            findings->list[i].finding.severity = TRIT_SEVERITY_WARNING;
}

/* ---- of contents and comparisons ------------------------------------------------ */

static void hint(struct trit_finding *finding, const char *text)
{
    if (finding)
        snprintf(finding->hint, sizeof(finding->hint), "%.*s",
                 (int)utf8_cut(text, strnlen(text, TRIT_FINDING_HINT_BYTES_MAX)), text);
}

/* Sets the hint of the newest finding, of any length. */
static void long_hint(struct file_findings *findings, const char *text)
{
    struct file_finding *newest = &findings->list[findings->count - 1];

    hint(&newest->finding, text);
    if (strlen(text) > TRIT_FINDING_HINT_BYTES_MAX)
        newest->hint =
            arena_strndup(&findings->strings, text, utf8_cut(text, strlen(text)));
}

static void form_of(char text[TRIT_FINDING_VALUE_BYTES_MAX + 1],
                    const struct tensor_entry *entry)
{
    char shape[SHAPE_TEXT_BYTES];

    snprintf(text, TRIT_FINDING_VALUE_BYTES_MAX + 1, "%s %s", entry->type->name,
             shape_text(shape, entry->rank, entry->shape));
}

static void add_foreign(struct file_findings *findings, const struct contents *claim,
                        size_t index, bool has_record)
{
    const struct content *item = &claim->items[index];
    const char *name = claim->table->entries[index].name;
    char text[CONTENT_TEXT_BYTES], whole[CONTENT_TEXT_BYTES + 96];
    struct trit_finding *added =
        findings_add(findings, TRIT_FINDING_FOREIGN_PACKING, NULL, name);
    const bool readable = !has_record && (item->packing == PACKING_HF_BITNET ||
                                          item->packing == PACKING_INT8);
    const bool maybe = !has_record && item->packing == PACKING_MLX;

    if (!added)
        return;
    form_of(added->got, &claim->table->entries[index]);
    snprintf(whole, sizeof(whole), "%s%s%s", content_text(text, claim, index),
             readable ? "; read it with --encoding "
             : maybe  ? "; if its codes have 2 bits, read it with --encoding "
                      : "",
             readable ? packing_name(item->packing)
             : maybe  ? "mlx_2bit"
                      : "");
    long_hint(findings, whole);
}

static void add_unfit(struct file_findings *findings, const struct contents *claim,
                      size_t index)
{
    const struct content *item = &claim->items[index];
    const char *name = claim->table->entries[index].name;
    const bool recorded = claim->record && claim->record->layers;
    struct trit_finding *added =
        recorded ? findings_add(findings, TRIT_FINDING_MISSING_LAYER, name, NULL)
                 : findings_add(findings, TRIT_FINDING_UNKNOWN_DTYPE, NULL, name);

    if (!added)
        return;
    form_of(added->got, &claim->table->entries[index]);
    hint(added, item->unfit);
}

static void add_without_scales(struct file_findings *findings,
                               const struct contents *claim, size_t index)
{
    const char *layer = claim->table->entries[index].name;
    char name[SCALES_NAME_BYTES];
    const bool biases = claim->items[index].scales != CONTENT_NONE;

    scales_name(claim->items[index].terms.encoding, layer, name);
    if (biases)
        biases_name(layer, name);
    hint(findings_add(findings, TRIT_FINDING_MISSING_TENSOR, layer, name),
         biases ? "the biases of the layer are not in the file"
                : "the scales of the layer are not in the file");
}

struct missing {
    struct file_findings *findings;
    const struct contents *claim, *latents;
    const struct checkpoint_options *options;
};

static int add_missing(void *arg, const char *name)
{
    const struct missing *missing = arg;

    if (!table_find(missing->claim->table, name) &&
        !(missing->latents && table_find(missing->latents->table, name)) &&
        selection_of(missing->options, name) != SELECTION_EXCLUDED)
        hint(findings_add(missing->findings, TRIT_FINDING_MISSING_LAYER, name, NULL),
             "the file's record names it, but the file lacks it");
    return 0;
}

void findings_add_contents(struct file_findings *findings,
                           const struct checkpoint_options *options,
                           const struct contents *claim, const struct contents *latents,
                           bool accept_record)
{
    struct missing missing = {findings, claim, latents, options};
    const bool has_record = claim->record && claim->record->layers;

    for (size_t i = 0; i < claim->table->count; i++) {
        const struct content *item = &claim->items[i];
        const struct tensor_entry *entry = &claim->table->entries[i];
        struct trit_finding *added;

        if (item->kind == CONTENT_FOREIGN_WEIGHT) {
            add_foreign(findings, claim, i, has_record);
        } else if (item->kind == CONTENT_UNFIT) {
            add_unfit(findings, claim, i);
        } else if (item->kind == CONTENT_LAYER && !content_is_complete(item)) {
            add_without_scales(findings, claim, i);
        } else if (item->kind == CONTENT_UNKNOWN_DTYPE &&
                   !(has_record && (latents || accept_record))) {
            added = findings_add(findings, TRIT_FINDING_UNKNOWN_DTYPE, NULL, entry->name);
            if (added)
                form_of(added->got, entry);
            hint(added, "a weight of a type that cannot be checked; --exclude leaves it "
                        "out, --encoding gives its encoding");
        } else if (item->kind == CONTENT_KEPT_BY_RECORD && !latents && !accept_record) {
            hint(findings_add(findings, TRIT_FINDING_KEPT_BY_RECORD, entry->name, NULL),
                 "a layer by the rules, but not in the file's record; --exclude "
                 "leaves it out, --accept-record accepts all");
        }
    }
    if (has_record)
        record_visit(claim->record, add_missing, &missing);
}

static void add_renamed(struct file_findings *findings, const struct match_pair *pair,
                        const struct contents *claim, const struct contents *latents)
{
    const char *expected = latents->table->entries[pair->latents].name;
    const char *got = claim->table->entries[pair->claim].name;
    const bool layer = latents->items[pair->latents].kind == CONTENT_LAYER;
    char text[3 * FILES_NAME_BYTES_MAX + 256];

    if (!findings_add(findings, TRIT_FINDING_RENAMED, layer ? expected : NULL,
                      layer ? NULL : expected))
        return;
    snprintf(text, sizeof(text), "the file has %s in its place; %s", got, pair->hint);
    long_hint(findings, text);
}

static void add_pair(struct file_findings *findings, const struct match_pair *pair,
                     const struct contents *claim, const struct contents *latents)
{
    const struct tensor_entry *left =
        pair->claim == CONTENT_NONE ? NULL : &claim->table->entries[pair->claim];
    const struct tensor_entry *right =
        pair->latents == CONTENT_NONE ? NULL : &latents->table->entries[pair->latents];
    struct trit_finding *added = NULL;

    switch (pair->kind) {
    case MATCH_PROJECTION:
    case MATCH_BYTES:
    case MATCH_JUDGED:
        return;
    case MATCH_RENAMED:
        add_renamed(findings, pair, claim, latents);
        return;
    case MATCH_MISSING_LAYER:
        added = findings_add(findings, TRIT_FINDING_MISSING_LAYER, right->name, NULL);
        if (added && left)
            form_of(added->got, &claim->items[pair->claim].dense);
        hint(added, left ? "the latents have it with another shape or type"
                         : "the latents have it, but the file lacks it");
        break;
    case MATCH_MISSING_TENSOR:
        added = findings_add(findings, TRIT_FINDING_MISSING_TENSOR, NULL, right->name);
        hint(added, "the latents have it, but the file lacks it");
        break;
    case MATCH_EXTRA_LAYER:
        added = findings_add(findings, TRIT_FINDING_EXTRA_LAYER, left->name, NULL);
        break;
    case MATCH_EXTRA_TENSOR:
        added = findings_add(findings, TRIT_FINDING_EXTRA_TENSOR, NULL, left->name);
        break;
    }
    if (added && right)
        form_of(added->expected, right);
    if (added && !right) {
        added->severity = TRIT_SEVERITY_ERROR;
        form_of(added->got, left);
        hint(added, "the file has it, but the latents lack it");
    }
}

void findings_add_match(struct file_findings *findings, const struct match *match,
                        const struct contents *claim, const struct contents *latents)
{
    for (size_t i = 0; i < match->count; i++)
        add_pair(findings, &match->pairs[i], claim, latents);
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
        hint(&found->finding, text);
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
