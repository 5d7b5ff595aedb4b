/* SPDX-License-Identifier: Apache-2.0 */
/* The page of a layer: one report, plots over its steps, and a table of them. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/store.h"
#include "web/handlers.h"
#include "web/history.h"
#include "web/html.h"
#include "web/layer_parts.h"
#include "web/plot.h"
#include "web/run_state.h"

enum { TABLE_ROWS = 50 };

#define MINUS_ONE                                                                        \
    "\xe2\x88\x92"                                                                       \
    "1"

/* ---- plots ------------------------------------------------------------------------------ */

/* What the plots show. All but the first two come from summaries. */
enum series {
    NEGATIVE_SHARE,
    POSITIVE_SHARE,
    ZERO_SHARE,
    SCALE_MIN,
    SCALE_MEAN,
    SCALE_MAX,
    FLIPS,
    SQNR,
    NEAR,
    DEAD_GROUPS,
    SERIES,
};
enum { SUMMARIES = SERIES - ZERO_SHARE, COUNTS = 3 };
static const char *const summary_names[SUMMARIES] = {
    "zero_fraction",
    "scale_min",
    "scale_mean",
    "scale_max",
    "flip_fraction",
    "sqnr_db",
    "near_threshold_fraction",
    "zero_group_fraction",
};
static const char *const count_names[COUNTS] = {"negatives", "positives", "elements"};

static void put_plots(struct text *text, const struct history *history, double *values,
                      uint64_t since)
{
    const size_t steps = history->step_count;
#define LINE(name, style, series)                                                        \
    {                                                                                    \
        name, style, values + (series)*steps                                             \
    }
    const struct plot plots[] = {
        {.title = "Shares",
         .percent = true,
         .from_zero = true,
         .line_count = 3,
         .lines = {LINE(MINUS_ONE, "neg", NEGATIVE_SHARE), LINE("0", "zero", ZERO_SHARE),
                   LINE("+1", "pos", POSITIVE_SHARE)}},
        {.title = "Scales",
         .logarithmic = true,
         .line_count = 3,
         .lines = {LINE("smallest", "low", SCALE_MIN), LINE("mean", "main", SCALE_MEAN),
                   LINE("largest", "high", SCALE_MAX)}},
        {.title = "Flips",
         .percent = true,
         .from_zero = true,
         .line_count = 1,
         .lines = {LINE("changed weights", "main", FLIPS)}},
        {.title = "SQNR, dB", .line_count = 1, .lines = {LINE("SQNR", "main", SQNR)}},
        {.title = "Near the threshold",
         .percent = true,
         .from_zero = true,
         .line_count = 1,
         .lines = {LINE("weights", "main", NEAR)}},
        {.title = "Dead groups",
         .percent = true,
         .from_zero = true,
         .line_count = 1,
         .lines = {LINE("all-zero groups", "main", DEAD_GROUPS)}},
    };
#undef LINE

    text_put(text, "<h2>Over the steps</h2>\n<div class=\"plots\">\n");
    for (size_t i = 0; i < sizeof(plots) / sizeof(plots[0]); i++) {
        struct plot plot = plots[i];

        plot.steps = history->steps;
        plot.step_count = steps;
        plot.since = since;
        plot_figure(text, &plot);
    }
    text_put(text, "</div>\n");
}

static int read_series(struct history *history, const struct web_config *web,
                       const struct request *request, const struct store_run_info *facts,
                       const char *const *names, size_t count, struct failure *failure)
{
    const struct field *fields[SUMMARIES];
    const struct history_query query = {
        .run = request->names[0],
        .layer = request->names[1],
        .exact = true,
        .attempt = (uint32_t)request->attempt,
        .replica = (uint32_t)request->replica,
        .from = facts->step_min,
        .to = facts->step_max,
        .every = history_every(facts->step_min, facts->step_max, PLOT_COLUMNS_MAX),
        .fields = fields,
        .field_count = count,
        .layers_max = 1,
    };

    for (size_t i = 0; i < count; i++)
        fields[i] = field_by_name(names[i]);
    return history_read(history, web->reader, &query, failure);
}

/* The shares of -1 and +1 on the axis of the summaries. They stay absent if there are too
 * many reports to read. */
static void fill_shares(const struct history *summaries, const struct history *counts,
                        double *values)
{
    size_t rows[COUNTS] = {0};

    for (size_t i = 0; i < summaries->step_count; i++) {
        double found[COUNTS];

        for (size_t k = 0; k < COUNTS; k++)
            found[k] = counts->layer_count == 0 || counts->cut
                           ? (double)NAN
                           : history_value(counts, &counts->layers[0], &rows[k],
                                           summaries->steps[i], k);
        values[NEGATIVE_SHARE * summaries->step_count + i] = found[0] / found[2];
        values[POSITIVE_SHARE * summaries->step_count + i] = found[1] / found[2];
    }
}

static int plots(const struct web_config *web, const struct request *request,
                 struct text *text, const struct store_run_info *facts, uint64_t since,
                 struct failure *failure)
{
    struct history summaries = {0}, counts = {0};
    double *values = NULL;
    int result =
        read_series(&summaries, web, request, facts, summary_names, SUMMARIES, failure);

    if (result == 0)
        result = read_series(&counts, web, request, facts, count_names, COUNTS, failure);
    if (result == 0 && summaries.layer_count > 0) {
        values = calloc(SERIES * summaries.step_count + 1, sizeof(values[0]));
        if (!values)
            result = fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    if (values) {
        fill_shares(&summaries, &counts, values);
        for (size_t i = 0; i < SUMMARIES; i++)
            history_values(&summaries, &summaries.layers[0], i,
                           values + (ZERO_SHARE + i) * summaries.step_count);
        put_plots(text, &summaries, values, since);
    }
    free(values);
    history_fini(&summaries);
    history_fini(&counts);
    return result;
}

/* ---- the table --------------------------------------------------------------------------- */

/* The table while the store visits reports. */
struct table {
    struct text *text;
    uint32_t rows;
    bool more;
    uint64_t last; /* step of the last row */
    struct html_view view;
};

static void put_row(struct text *text, const struct trit_report *report,
                    struct html_view view)
{
    text_format(text, "<tr><th scope=\"row\" class=\"num\"><a href=\"?step=%" PRIu64,
                report->step);
    html_view(text, "&amp;", view);
    text_format(text, "\">%" PRIu64 "</a></th><td>", report->step);
    html_condition(text, condition_of(report));
    text_put(text, "</td><td>");
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

/* False: the table is full. */
static bool begin_row(struct table *table, uint64_t step)
{
    table->more = table->rows == TABLE_ROWS;
    if (table->more)
        return false;
    table->last = step;
    table->rows++;
    return true;
}

static bool visit(void *arg, const struct trit_report *report)
{
    struct table *table = arg;

    if (!begin_row(table, report->step))
        return false;
    put_row(table->text, report, table->view);
    return !table->text->failed;
}

static bool visit_damaged(void *arg, const struct store_key *key)
{
    struct table *table = arg;

    if (!begin_row(table, key->step))
        return false;
    text_format(table->text,
                "<tr><th scope=\"row\" class=\"num\">%" PRIu64
                "</th><td colspan=\"8\">damaged in the daemon's store, down to the "
                "report in the next row</td></tr>\n",
                key->step);
    return !table->text->failed;
}

static int table(const struct web_config *web, const struct request *request,
                 struct text *text, struct failure *failure)
{
    static const struct html_head heads[] = {
        {"Step", "num"},       {"Health", ""},
        {"Verdict", ""},       {MINUS_ONE " / 0 / +1", ""},
        {"Mean scale", "num"}, {"SQNR dB", "num"},
        {"Flips", "num"},      {"Zero groups", "num"},
        {"Time (UTC)", ""},    {NULL, NULL},
    };
    struct table table = {.text = text, .view = html_view_of(request)};
    const struct store_query query = {
        .run = request->names[0],
        .layer = request->names[1],
        .attempt = (uint32_t)request->attempt,
        .replica = (uint32_t)request->replica,
        .step_to = request->has_to ? request->to : UINT64_MAX,
        .newest_first = true,
        .limit = TABLE_ROWS + 1,
        .now_unix_ns = clock_unix_ns(),
        .passed = visit_damaged,
    };

    text_put(text, "<h2>History</h2>\n");
    html_table_begin(text, "Reports, the newest first", "");
    html_heads(text, heads);
    if (store_read_reports(web->reader, &query, visit, &table, failure) < 0)
        return -1;
    html_table_end(text);
    if (!table.more)
        return 0;
    text_format(text,
                "<nav class=\"pages\" aria-label=\"Pages\"><a rel=\"next\" "
                "href=\"?to=%" PRIu64,
                table.last - 1);
    html_view(text, "&amp;", table.view);
    text_put(text, "\">Older</a></nav>\n");
    return 0;
}

/* ---- the page ---------------------------------------------------------------------------- */

static void put_neighbour(struct text *text, const struct run_state *state, size_t at,
                          bool next, struct html_view view)
{
    const char *name = state->layers.list[at].name;

    text_format(text, "<a rel=\"%s\" href=\"/runs/", next ? "next" : "prev");
    text_segment(text, state->run);
    text_put(text, "/layers/");
    text_segment(text, name);
    html_view(text, "?", view);
    text_put(text, next ? "\">" : "\">\xe2\x86\x90 ");
    text_html(text, name);
    text_put(text, next ? " \xe2\x86\x92</a>" : "</a>");
}

/* The layers before and behind this one, as people read their names. */
static void put_neighbours(struct text *text, struct run_state *state, const char *layer,
                           struct html_view view)
{
    size_t at = 0;

    run_layers_sort_natural(&state->layers);
    while (at < state->layers.count && strcmp(state->layers.list[at].name, layer) != 0)
        at++;
    if (at == state->layers.count || state->layers.count < 2)
        return;
    text_put(text, "<nav class=\"pages\" aria-label=\"Layers\">");
    if (at > 0)
        put_neighbour(text, state, at - 1, false, view);
    if (at + 1 < state->layers.count)
        put_neighbour(text, state, at + 1, true, view);
    text_put(text, "</nav>\n");
}

/* Which of several reports of a step it is. */
static void put_which(struct text *text, const struct trit_report *report)
{
    if (report->attempt > 1 || report->superseded)
        text_format(text, " of attempt %" PRIu32, report->attempt);
    if (report->superseded)
        text_put(text, " (superseded by a later one)");
    if (report->replica)
        text_format(text, ", replica %" PRIu32, report->replica);
    text_put(text, ", ");
}

static void put_title(struct text *text, const struct request *request)
{
    text_put(text, "<p class=\"crumbs\"><a href=\"/\">Runs</a> / ");
    html_run_link(text, request->names[0], html_view_of(request));
    text_put(text, "</p><h1>");
    text_html(text, request->names[1]);
    text_put(text, "</h1>\n<p>");
}

static void put_which_report(struct text *text, const struct trit_report *report,
                             struct html_view view)
{
    html_condition(text, condition_of(report));
    text_format(text, " step %" PRIu64, report->step);
    put_which(text, report);
    html_time(text, report->time_unix_ns);
    text_put(text, " UTC, ");
    html_age(text, report->time_unix_ns);
    text_put(text, ", as <a href=\"/v1/runs/");
    text_segment(text, report->run);
    text_put(text, "/layers/");
    text_segment(text, report->layer);
    text_format(text, "?step=%" PRIu64, report->step);
    html_view(text, "&amp;", view);
    text_put(text, "\">JSON</a></p>\n");
}

/* The report that the page shows, or the damage in its place: the page has all else. */
struct shown {
    struct trit_report report;
    bool damaged;
    struct failure damage; /* names what is damaged */
};

static int read_shown(struct shown *shown, const struct web_config *web,
                      const struct request *request, struct failure *failure)
{
    const struct store_get get = {.run = request->names[0],
                                  .layer = request->names[1],
                                  .attempt = (uint32_t)request->attempt,
                                  .replica = (uint32_t)request->replica,
                                  .has_step = request->has_step,
                                  .step = request->step,
                                  .now_unix_ns = clock_unix_ns()};

    shown->damaged = false;
    if (store_read_report(web->reader, &get, &shown->report, failure) == 0)
        return 0;
    shown->damaged = failure->status == TRIT_DATA_LOSS;
    if (!shown->damaged)
        return -1;
    shown->damage = *failure;
    *failure = (struct failure){0};
    return 0;
}

static void put_damage(struct text *text, const struct shown *shown)
{
    html_condition(text, CONDITION_WARNING);
    text_put(text, " This report is damaged in the daemon's store: <code>");
    text_html(text, shown->damage.message);
    text_put(text, "</code>. <code>tritd --check-data</code> names all that is damaged; "
                   "what is whole follows.</p>\n");
}

static void put_head(struct text *text, const struct shown *shown,
                     struct run_state *state, const struct request *request)
{
    const struct html_view view = html_view_of(request);

    put_title(text, request);
    if (shown->damaged) {
        put_damage(text, shown);
    } else {
        put_which_report(text, &shown->report, view);
        html_reasons(text, &shown->report);
    }
    put_neighbours(text, state, request->names[1], view);
    if (!shown->damaged)
        html_findings(text, &shown->report);
}

static int put_page(const struct web_config *web, const struct request *request,
                    struct reply *reply, const struct shown *shown,
                    struct run_state *state, struct failure *failure)
{
    struct text *text = &reply->body;
    const bool has_reasons = !shown->damaged && shown->report.health_reason_count > 0;

    html_begin(reply, web, request->names[1]);
    put_head(text, shown, state, request);
    if (plots(web, request, text, &state->facts,
              has_reasons ? shown->report.health_reasons[0].since_step : UINT64_MAX,
              failure) < 0)
        return -1;
    if (!shown->damaged) {
        html_facts(text, &shown->report);
        html_transitions(text, &shown->report);
    }
    if (table(web, request, text, failure) < 0)
        return -1;
    html_end(reply);
    return 0;
}

int serve_layer_page(const struct web_config *web, const struct request *request,
                     struct reply *reply, struct failure *failure)
{
    struct run_state state = {0};
    struct shown shown;
    int result = read_shown(&shown, web, request, failure);

    if (result == 0)
        result = run_state_read(&state, web, request, request->names[0], failure);
    if (result == 0)
        result = put_page(web, request, reply, &shown, &state, failure);
    run_state_fini(&state);
    return result;
}
