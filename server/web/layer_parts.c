/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a layer's page that show one report: figures, findings, flips. */
#include "web/layer_parts.h"

#include <inttypes.h>

#include "proto/names.h"
#include "web/html.h"

static const char *dtype_words(enum trit_dtype dtype)
{
    const char *name = enum_name(&dtype_names, dtype);

    return name ? name : "?";
}

static void fact_begin(struct text *text, const char *term)
{
    text_format(text, "<div><dt>%s</dt><dd>", term);
}

static void fact_end(struct text *text)
{
    text_put(text, "</dd></div>\n");
}

static void fact_count(struct text *text, const char *term, uint64_t count)
{
    fact_begin(text, term);
    html_count(text, count);
    fact_end(text);
}

static void fact_real(struct text *text, const char *term, double value)
{
    fact_begin(text, term);
    html_real(text, value);
    fact_end(text);
}

static void fact_percent(struct text *text, const char *term, double share)
{
    fact_begin(text, term);
    html_percent(text, share);
    fact_end(text);
}

static void fact_digest(struct text *text, const struct trit_report *report)
{
    text_put(text, "<div class=\"wide\"><dt>Digest</dt><dd><code>");
    for (int i = 0; i < TRIT_DIGEST_BYTES; i++)
        text_format(text, "%02x", report->digest[i]);
    text_put(text, "</code></dd></div>\n");
}

static void fact_samples(struct text *text, const struct trit_report *report)
{
    if (report->sample_count == 0)
        return;
    fact_begin(text, "Values seen");
    for (uint32_t i = 0; i < report->sample_count && i < TRIT_SAMPLES_MAX; i++) {
        text_put(text, i ? ", " : "");
        html_real(text, (double)report->sample_values[i]);
    }
    fact_end(text);
}

void html_facts(struct text *text, const struct trit_report *report)
{
    text_format(text, "<h2>Figures of step %" PRIu64 "</h2>\n<dl>\n", report->step);
    fact_begin(text, "Health");
    html_condition(text, condition_of(report));
    fact_end(text);
    fact_begin(text, "Verdict");
    html_verdict(text, report);
    fact_end(text);
    fact_begin(text, "Shape");
    html_shape(text, report);
    text_format(text, " %s", dtype_words(report->dtype));
    fact_end(text);
    fact_count(text, "Group size", report->group_size);
    fact_count(text, "Groups", report->groups);
    fact_count(text, "\342\210\2221", report->negatives);
    fact_count(text, "0", report->zeros);
    fact_count(text, "+1", report->positives);
    fact_begin(text, "Shares");
    html_bar(text, report);
    fact_end(text);
    fact_count(text, "All-zero groups", report->zero_groups);
    fact_count(text, "Non-finite", report->non_finite);
    fact_percent(text, "Valid", report->fraction_valid);
    fact_real(text, "Largest rounding error", report->max_round_error);
    if (report->has_scales) {
        fact_real(text, "Scale, smallest", (double)report->scale_min);
        fact_real(text, "Scale, mean", report->scale_mean);
        fact_real(text, "Scale, largest", (double)report->scale_max);
    }
    fact_count(text, "Scales lossy in f16", report->scales_lossy_fp16);
    if (report->has_sqnr_db)
        fact_real(text, "SQNR dB", report->sqnr_db);
    if (report->has_mse)
        fact_real(text, "Mean squared error", report->mse);
    if (report->has_cosine)
        fact_real(text, "Cosine similarity", report->cosine);
    fact_percent(text, "Near the threshold", report->near_threshold_fraction);
    if (report->has_reference)
        fact_count(text, "Unlike the reference", report->reference_mismatches);
    fact_samples(text, report);
    fact_begin(text, "Computed by");
    text_html(text, report->kernel);
    text_put(text, ", tritd ");
    text_html(text, report->version);
    fact_end(text);
    fact_digest(text, report);
    text_put(text, "</dl>\n");
}

static void finding_row(struct text *text, const struct trit_finding *finding)
{
    text_format(text, "<tr><td>%s</td><td>", severity_name(finding->severity));
    html_finding_kind(text, finding->kind);
    text_put(text, "</td><td class=\"num\">");
    if (finding->has_count)
        html_count(text, finding->count);
    text_put(text, "</td><td>");
    if (finding->has_index)
        text_format(text, "element %" PRIu64, finding->index);
    else if (finding->has_group)
        text_format(text, "group %" PRIu64, finding->group);
    text_put(text, "</td><td>");
    text_html(text, finding->expected);
    text_put(text, "</td><td>");
    text_html(text, finding->got);
    text_put(text, "</td><td>");
    text_html(text, finding->hint);
    text_put(text, "</td></tr>\n");
}

void html_findings(struct text *text, const struct trit_report *report)
{
    static const struct html_head heads[] = {
        {"Severity", ""}, {"Kind", ""}, {"Count", "num"},   {"First", ""},
        {"Expected", ""}, {"Got", ""},  {"What to do", ""}, {NULL, NULL},
    };

    if (report->finding_count == 0)
        return;
    text_put(text, "<h2>Findings</h2>\n");
    html_table_begin(text, "Findings", "");
    html_heads(text, heads);
    for (uint32_t i = 0; i < report->finding_count && i < TRIT_FINDINGS_MAX; i++)
        finding_row(text, &report->findings[i]);
    html_table_end(text);
}

void html_transitions(struct text *text, const struct trit_report *report)
{
    static const char *const names[3] = {"\342\210\2221", "0", "+1"};

    if (!report->has_previous)
        return;
    text_put(text, "<h2>Flips</h2>\n<p>");
    html_count(text, report->flips);
    text_put(text, " of ");
    html_count(text, report->elements);
    text_put(text, " weights (");
    html_percent(text, report->flip_fraction);
    text_format(text, ") changed since step %" PRIu64 ".</p>\n", report->previous_step);
    html_table_begin(text, "Weights by their value before and after", "flips");
    text_put(text, "<th scope=\"col\">from \\ to</th>");
    for (int to = 0; to < 3; to++)
        text_format(text, "<th scope=\"col\">%s</th>", names[to]);
    text_put(text, "</tr></thead><tbody>\n");
    for (int from = 0; from < 3; from++) {
        text_format(text, "<tr><th scope=\"row\">%s</th>", names[from]);
        for (int to = 0; to < 3; to++) {
            text_put(text, from == to ? "<td class=\"soft\">" : "<td>");
            html_count(text, report->transitions[3 * from + to]);
            text_put(text, "</td>");
        }
        text_put(text, "</tr>\n");
    }
    html_table_end(text);
}

void html_reasons(struct text *text, const struct trit_report *report)
{
    if (report->health_reason_count == 0)
        return;
    text_put(text, "<ol class=\"changes\">\n");
    for (uint64_t i = 0; i < report->health_reason_count && i < TRIT_HEALTH_REASONS_MAX;
         i++) {
        const struct trit_health_reason *reason = &report->health_reasons[i];

        text_put(text, "<li>");
        html_health(text, reason->severity);
        text_format(text, " <span class=\"step\">since step %" PRIu64 "</span> ",
                    reason->since_step);
        text_html(text, reason->text[0] ? reason->text : reason->rule);
        text_put(text, "</li>\n");
    }
    text_put(text, "</ol>\n");
}
