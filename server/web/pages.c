/* SPDX-License-Identifier: Apache-2.0 */
/* Pages for people: all runs with their layers, one run, one layer with its
 * history. A page ends after PAGE_ROWS_MAX rows with a link to the next. */
#include <inttypes.h>
#include <string.h>

#include "kernels/kernels.h"
#include "proto/finding.h"
#include "proto/names.h"
#include "store/store.h"
#include "web/handlers.h"
#include "web/html.h"

/* A page while the store visits reports. */
struct page {
    struct text *text;
    bool by_run;  /* a heading before each run */
    bool history; /* rows of one layer's steps */
    uint32_t rows;
    bool more;               /* the list goes on after the page */
    struct trit_report last; /* the last one of the page */
};

static void run_heading(struct text *text, const char *run)
{
    text_put(text, "<h2>");
    html_run_link(text, run, run);
    text_put(text, "</h2>\n");
}

static void history_row(struct text *text, const struct trit_report *report);

static bool add_row(void *arg, const struct trit_report *report)
{
    struct page *page = arg;

    if (page->rows == PAGE_ROWS_MAX) {
        page->more = true;
        return false;
    }
    if (page->by_run && (page->rows == 0 || strcmp(page->last.run, report->run) != 0)) {
        if (page->rows > 0)
            html_table_end(page->text);
        run_heading(page->text, report->run);
        html_layers_begin(page->text);
    }
    if (page->history)
        history_row(page->text, report);
    else
        html_layers_row(page->text, report);
    page->last = *report;
    page->rows++;
    return !page->text->failed;
}

/* ---- / ------------------------------------------------------------------------- */

int serve_index_page(const struct web_config *web, const struct request *request,
                     struct reply *reply, struct failure *failure)
{
    struct page page = {.text = &reply->body, .by_run = true};
    struct store_key after = {0};
    struct store_query query = {
        .step_to = UINT64_MAX,
        .latest_only = true,
        .limit = PAGE_ROWS_MAX + 1,
        .after = request->has_after_run ? &after : NULL,
    };

    strcpy(after.run, request->after_run);
    strcpy(after.layer, request->after);
    html_begin(reply, web, "tritd");
    text_put(&reply->body, "<h1>Runs</h1>\n<p>The newest report of every layer.</p>\n");
    if (store_read_reports(web->reader, &query, add_row, &page, failure) < 0)
        return -1;
    if (page.rows > 0)
        html_table_end(&reply->body);
    else
        text_put(&reply->body, "<p>Nothing here yet. Reports appear when a request "
                               "carries a run, a layer and a step:<br>"
                               "<code>trit project model.safetensors -o ternary"
                               ".safetensors --run NAME --step 1</code></p>\n");
    if (page.more) {
        text_put(&reply->body, "<p><a href=\"/?after_run=");
        text_url(&reply->body, page.last.run);
        text_put(&reply->body, "&amp;after=");
        text_url(&reply->body, page.last.layer);
        text_put(&reply->body, "\">More</a></p>\n");
    }
    html_end(reply);
    return 0;
}

/* ---- /runs/{run} ------------------------------------------------------------------ */

int serve_run_page(const struct web_config *web, const struct request *request,
                   struct reply *reply, struct failure *failure)
{
    const char *run = request->names[0];
    struct text *text = &reply->body;
    struct page page = {.text = text};
    struct store_key after = {0};
    struct store_query query = {
        .run = run,
        .step_to = UINT64_MAX,
        .latest_only = true,
        .limit = PAGE_ROWS_MAX + 1,
        .after = request->has_after ? &after : NULL,
    };

    strcpy(after.run, run);
    strcpy(after.layer, request->after);
    html_begin(reply, web, run);
    text_put(text, "<h1>");
    text_html(text, run);
    text_put(text, "</h1>\n<p>The newest report of every layer of this run.</p>\n");
    html_layers_begin(text);
    if (store_read_reports(web->reader, &query, add_row, &page, failure) < 0)
        return -1;
    if (page.rows == 0 && !request->has_after)
        return fail(failure, TRIT_NOT_FOUND, "run", "no run \"%s\"", run);
    html_table_end(text);
    if (page.more) {
        text_put(text, "<p><a href=\"?after=");
        text_url(text, page.last.layer);
        text_put(text, "\">More</a></p>\n");
    }
    html_end(reply);
    return 0;
}

/* ---- /runs/{run}/layers/{layer} ---------------------------------------------------- */

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

static void facts(struct text *text, const struct trit_report *report)
{
    text_put(text, "<dl>\n");
    fact_begin(text, "Verdict");
    html_verdict(text, report);
    fact_end(text);
    fact_begin(text, "Shape");
    html_shape(text, report);
    text_format(text, " %s", dtype_name(report->dtype));
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

static void findings(struct text *text, const struct trit_report *report)
{
    if (report->finding_count == 0)
        return;
    text_put(text, "<h2>Findings</h2>\n<div class=\"scroll\"><table><thead><tr>"
                   "<th>Severity</th><th>Kind</th><th class=\"num\">Count</th>"
                   "<th>First</th><th>Expected</th><th>Got</th><th>What to do</th></tr>"
                   "</thead><tbody>\n");
    for (uint32_t i = 0; i < report->finding_count && i < TRIT_FINDINGS_MAX; i++)
        finding_row(text, &report->findings[i]);
    html_table_end(text);
}

static void flips(struct text *text, const struct trit_report *report)
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
    text_format(text,
                ") changed since step %" PRIu64 ".</p>\n"
                "<div class=\"scroll\"><table class=\"flips\"><thead><tr>"
                "<th>from \\ to</th>",
                report->previous_step);
    for (int to = 0; to < 3; to++)
        text_format(text, "<th>%s</th>", names[to]);
    text_put(text, "</tr></thead><tbody>\n");
    for (int from = 0; from < 3; from++) {
        text_format(text, "<tr><th>%s</th>", names[from]);
        for (int to = 0; to < 3; to++) {
            text_put(text, from == to ? "<td class=\"soft\">" : "<td>");
            html_count(text, report->transitions[3 * from + to]);
            text_put(text, "</td>");
        }
        text_put(text, "</tr>\n");
    }
    html_table_end(text);
}

static void history_row(struct text *text, const struct trit_report *report)
{
    text_format(text,
                "<tr><td class=\"num\"><a href=\"?step=%" PRIu64 "\">%" PRIu64
                "</a></td><td>",
                report->step, report->step);
    html_verdict(text, report);
    text_put(text, "</td><td>");
    html_bar(text, report);
    text_put(text, "</td><td class=\"num\">");
    if (report->has_scales)
        html_real(text, report->scale_mean);
    text_put(text, "</td><td class=\"num\">");
    if (report->has_sqnr_db)
        html_real(text, report->sqnr_db);
    text_put(text, "</td><td class=\"num\">");
    html_flips(text, report);
    text_put(text, "</td><td class=\"num\">");
    html_count(text, report->zero_groups);
    text_put(text, "</td><td class=\"soft\">");
    html_time(text, report->time_unix_ns);
    text_put(text, "</td></tr>\n");
}

static int history(const struct web_config *web, const struct request *request,
                   struct text *text, struct failure *failure)
{
    struct page page = {.text = text, .history = true};
    struct store_query query = {
        .run = request->names[0],
        .layer = request->names[1],
        .step_to = request->has_to ? request->to : UINT64_MAX,
        .newest_first = true,
        .limit = PAGE_ROWS_MAX + 1,
    };

    text_put(text, "<h2>History</h2>\n<div class=\"scroll\"><table><thead><tr>"
                   "<th class=\"num\">Step</th><th>Verdict</th>"
                   "<th>\xe2\x88\x92"
                   "1 / 0 / +1</th><th class=\"num\">Mean scale</th>"
                   "<th class=\"num\">SQNR dB</th><th class=\"num\">Flips</th>"
                   "<th class=\"num\">Zero groups</th><th>Time (UTC)</th></tr></thead>"
                   "<tbody>\n");
    if (store_read_reports(web->reader, &query, add_row, &page, failure) < 0)
        return -1;
    html_table_end(text);
    if (page.more)
        text_format(text, "<p><a href=\"?to=%" PRIu64 "\">Older</a></p>\n",
                    page.last.step - 1);
    return 0;
}

int serve_layer_page(const struct web_config *web, const struct request *request,
                     struct reply *reply, struct failure *failure)
{
    const char *run = request->names[0], *layer = request->names[1];
    struct text *text = &reply->body;
    struct trit_report report;

    const struct store_get get = {
        .run = run, .layer = layer, .has_step = request->has_step, .step = request->step};

    if (store_read_report(web->reader, &get, &report, failure) < 0)
        return -1;
    html_begin(reply, web, layer);
    text_put(text, "<h1>");
    text_html(text, layer);
    text_put(text, "</h1>\n<p>Run ");
    html_run_link(text, run, run);
    text_format(text, ", step %" PRIu64 ", ", report.step);
    html_time(text, report.time_unix_ns);
    text_put(text, " UTC, as <a href=\"/v1/runs/");
    text_url(text, run);
    text_put(text, "/layers/");
    text_url(text, layer);
    text_format(text, "?step=%" PRIu64 "\">JSON</a></p>\n", report.step);
    facts(text, &report);
    findings(text, &report);
    flips(text, &report);
    if (history(web, request, text, failure) < 0)
        return -1;
    html_end(reply);
    return 0;
}
