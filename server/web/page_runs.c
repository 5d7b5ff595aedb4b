/* SPDX-License-Identifier: Apache-2.0 */
/* The start page: runs, the newest first. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "store/run_health.h"
#include "web/handlers.h"
#include "web/heat.h"
#include "web/history.h"
#include "web/html.h"
#include "web/newest_runs.h"
#include "web/plot.h"

enum {
    RUNS_MAX = 10000,   /* that are listed */
    RUNS_PAGE = 25,     /* on a page */
    SPARK_COLUMNS = 40, /* of the small line */
    CHOICES_MAX = 200,  /* of runs to compare */
};

static bool visit(void *arg, const struct store_run_info *info)
{
    return newest_runs_add(arg, info);
}

/* ---- a row -------------------------------------------------------------------------- */

static int put_spark(const struct web_config *web, struct text *text,
                     const struct listed_run *row, struct failure *failure)
{
    const struct field *fields[] = {field_by_name("zero_fraction")};
    const struct history_query query = {
        .run = row->run,
        .from = row->step_min,
        .to = row->step_max,
        .every = history_every(row->step_min, row->step_max, SPARK_COLUMNS),
        .fields = fields,
        .field_count = 1,
        .layers_max = RUN_LAYERS_MAX,
    };
    struct history history = {0};
    double means[2 * SPARK_COLUMNS];
    struct text words = {0};

    if (history_read(&history, web->reader, &query, failure) < 0) {
        history_fini(&history);
        return -1;
    }
    if (history.step_count > SPARK_COLUMNS)
        history.step_count = SPARK_COLUMNS;
    history_means(&history, 0, means);
    text_put(&words, "Mean share of zeros");
    history_put_part(&words, &history);
    text_put(&words, " by step");
    if (history.step_count > 0 && !isnan(means[history.step_count - 1]))
        text_format(&words, ", newest %.1f %%", means[history.step_count - 1] * 100);
    text_add(&words, "", 1);
    if (!words.failed)
        plot_spark(text, means, history.step_count, words.bytes);
    text->failed |= words.failed;
    text_fini(&words);
    history_fini(&history);
    return 0;
}

/* The run's own row is damaged. */
static void put_lost_row(struct text *text, const struct listed_run *row)
{
    text_put(text, "<tr><th scope=\"row\" class=\"name\">");
    html_run_link(text, row->run, (struct html_view){0});
    text_put(text, "</th><td colspan=\"7\">");
    html_not_known(text);
    text_put(text, "</td></tr>\n");
}

static int put_row(const struct web_config *web, struct text *text,
                   const struct listed_run *row, struct failure *failure)
{
    struct store_run_health health;

    if (store_read_run_health(web->reader, row->run, clock_unix_ns(), &health, failure) <
        0) {
        if (failure->status != TRIT_DATA_LOSS)
            return -1;
        *failure = (struct failure){0};
        put_lost_row(text, row);
        return 0;
    }
    const size_t conditions[CONDITIONS] = {
        [CONDITION_UNKNOWN] = (size_t)health.layers[TRIT_HEALTH_ABSENT],
        [CONDITION_HEALTHY] = (size_t)health.layers[TRIT_HEALTHY],
        [CONDITION_WARNING] = (size_t)health.layers[TRIT_HEALTH_WARNING],
        [CONDITION_FAILING] = (size_t)health.layers[TRIT_HEALTH_FAILING],
    };

    text_put(text, "<tr><th scope=\"row\" class=\"name\">");
    html_run_link(text, row->run, (struct html_view){0});
    text_put(text, "</th><td>");
    html_health(text, health.health);
    text_put(text, "</td><td>");
    html_conditions(text, conditions);
    text_put(text, "</td><td class=\"num\">");
    if (row->damaged)
        html_not_known(text);
    else
        html_age(text, row->time_unix_ns);
    text_put(text, "</td><td>");
    if (put_spark(web, text, row, failure) < 0)
        return -1;
    text_put(text, "</td><td class=\"num\">");
    if (row->damaged)
        html_not_known(text);
    else
        html_steps(text, row->has_steps, row->step_min, row->step_max);
    text_put(text, "</td><td class=\"num\">");
    html_duration(text, health.interval_seconds);
    text_put(text, "</td><td class=\"num\">");
    if (row->damaged)
        html_not_known(text);
    else
        html_count(text, row->reports);
    text_put(text, "</td></tr>\n");
    return 0;
}

/* ---- the page ------------------------------------------------------------------------ */

static void put_choice(struct text *text, const struct newest_runs *runs,
                       const char *name, const char *label, size_t chosen)
{
    text_format(text, "<label>%s <select name=\"%s\">", label, name);
    for (size_t i = 0; i < runs->count && i < CHOICES_MAX; i++) {
        text_put(text, "<option");
        text_put(text, i == chosen ? " selected>" : ">");
        text_html(text, runs->rows[i].run);
        text_put(text, "</option>");
    }
    text_put(text, "</select></label> ");
}

static void put_comparison(struct text *text, const struct newest_runs *runs)
{
    if (runs->count < 2)
        return;
    text_put(text, "<h2>Two runs side by side</h2>\n<form action=\"/compare\" "
                   "class=\"tools\">");
    put_choice(text, runs, "a", "Run A", 1);
    put_choice(text, runs, "b", "Run B", 0);
    text_put(text, "<button>Compare</button></form>\n");
}

static int put_runs(const struct web_config *web, struct text *text,
                    const struct newest_runs *runs, const struct request *request,
                    struct failure *failure)
{
    uint64_t page = request->page;
    static const struct html_head heads[] = {
        {"Run", ""},
        {"Health", ""},
        {"Layers", ""},
        {"Newest", "num"},
        {"Zeros", ""},
        {"Steps", "num"},
        {"A report every", "num"},
        {"Reports", "num"},
        {NULL, NULL},
    };
    size_t from = page * RUNS_PAGE < runs->count ? (size_t)page * RUNS_PAGE : runs->count;
    size_t to = runs->count - from > RUNS_PAGE ? from + RUNS_PAGE : runs->count;

    html_table_begin(text, "Runs, the newest first", "runs");
    html_heads(text, heads);
    for (size_t i = from; i < to; i++)
        if (put_row(web, text, &runs->rows[i], failure) < 0)
            return -1;
    html_table_end(text);
    html_pages(text, "?page=", page, to < runs->count);
    if (runs->more)
        text_format(text,
                    "<p>Older runs than the newest %d are left out; "
                    "<a href=\"/v1/runs\">JSON</a> has all.</p>\n",
                    (int)RUNS_MAX);
    return 0;
}

int serve_index_page(const struct web_config *web, const struct request *request,
                     struct reply *reply, struct failure *failure)
{
    struct text *text = &reply->body;
    struct newest_runs runs = {.max = RUNS_MAX};
    int result = store_read_runs(web->reader, visit, &runs, failure);

    if (result == 0 && runs.failed)
        result = fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (result == 0) {
        html_begin(reply, web, "tritd");
        text_put(text, "<h1>Runs</h1>\n");
        if (runs.count == 0) {
            text_put(text, "<p>Nothing here yet. Reports appear when a request carries a "
                           "run, a layer and a step:<br><code>trit project "
                           "model.safetensors -o ternary.safetensors --run NAME --step "
                           "1</code></p>\n");
        } else {
            newest_runs_finish(&runs);
            result = put_runs(web, text, &runs, request, failure);
            put_comparison(text, &runs);
        }
        html_end(reply);
    }
    newest_runs_fini(&runs);
    return result;
}
