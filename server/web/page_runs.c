/* SPDX-License-Identifier: Apache-2.0 */
/* The start page: runs, the newest first. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "store/store.h"
#include "web/handlers.h"
#include "web/heat.h"
#include "web/history.h"
#include "web/html.h"
#include "web/plot.h"

enum {
    RUNS_MAX = 10000,   /* that are sorted */
    RUNS_PAGE = 25,     /* on a page */
    SPARK_COLUMNS = 40, /* of the small line */
    CHOICES_MAX = 200,  /* of runs to compare */
};

struct run_row {
    char run[TRIT_NAME_BYTES_MAX + 1];
    int64_t time_unix_ns;
};

struct runs {
    struct run_row *rows;
    size_t count, capacity;
    bool failed, more;
};

static bool visit(void *arg, const struct store_run_info *info)
{
    struct runs *runs = arg;
    struct run_row *rows;

    runs->more = runs->count == RUNS_MAX;
    if (runs->more)
        return false;
    rows = array_grow(runs->rows, &runs->capacity, runs->count + 1, sizeof(rows[0]));
    runs->failed = !rows;
    if (!rows)
        return false;
    runs->rows = rows;
    strcpy(rows[runs->count].run, info->run);
    rows[runs->count++].time_unix_ns = info->time_unix_ns;
    return true;
}

static int compare_newest(const void *a, const void *b)
{
    const struct run_row *left = a, *right = b;

    if (left->time_unix_ns != right->time_unix_ns)
        return left->time_unix_ns > right->time_unix_ns ? -1 : 1;
    return strcmp(left->run, right->run);
}

/* ---- a row -------------------------------------------------------------------------- */

/* Steps an hour, from the first and the last time of the history. */
static double rate_of(const struct history *history)
{
    double first = (double)NAN, last = (double)NAN, steps;

    for (size_t row = 0; row < history->row_count; row++) {
        first = fmin(first, history->row_values[row * history->field_count + 1]);
        last = fmax(last, history->row_values[row * history->field_count + 1]);
    }
    if (history->step_count < 2 || !(last > first))
        return (double)NAN;
    steps = (double)(history->steps[history->step_count - 1] - history->steps[0]);
    return steps / ((last - first) / 3.6e12);
}

static int put_spark(const struct web_config *web, struct text *text,
                     const struct run_state *state, double *rate, struct failure *failure)
{
    const struct field *fields[] = {field_by_name("zero_fraction"),
                                    field_by_name("time_unix_ns")};
    const struct history_query query = {
        .run = state->run,
        .from = state->facts.step_min,
        .to = state->facts.step_max,
        .every =
            history_every(state->facts.step_min, state->facts.step_max, SPARK_COLUMNS),
        .fields = fields,
        .field_count = 2,
        .layers_max = HISTORY_LAYERS_MAX,
    };
    struct history history = {0};
    double means[2 * PLOT_COLUMNS_MAX];
    struct text words = {0};

    if (history_read(&history, web->reader, &query, failure) < 0) {
        history_fini(&history);
        return -1;
    }
    if (history.step_count > PLOT_COLUMNS_MAX)
        history.step_count = PLOT_COLUMNS_MAX;
    history_means(&history, 0, means);
    *rate = rate_of(&history);
    text_put(&words, "Mean share of zeros by step");
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

static int put_row(const struct web_config *web, const struct request *request,
                   struct text *text, const char *run, struct failure *failure)
{
    struct run_state state;
    struct text spark = {0};
    double rate = (double)NAN;
    int result = run_state_read(&state, web, request, run, failure);

    if (result == 0)
        result = put_spark(web, &spark, &state, &rate, failure);
    if (result == 0) {
        text_put(text, "<tr><th scope=\"row\" class=\"name\">");
        html_run_link(text, run, run);
        text_put(text, "</th><td>");
        html_condition(text, state.condition);
        text_put(text, "</td><td>");
        html_conditions(text, &state);
        text_put(text, "</td><td>");
        text_add(text, spark.bytes, spark.count);
        text_format(text,
                    "</td><td class=\"num\">%" PRIu64 " \xe2\x80\x93 %" PRIu64
                    "</td><td class=\"num\">",
                    state.facts.step_min, state.facts.step_max);
        if (rate >= 10)
            html_count(text, (uint64_t)rate);
        else
            html_real_where(text, true, rate);
        text_put(text, "</td><td class=\"num\">");
        html_count(text, state.facts.reports);
        text_put(text, "</td><td class=\"num\">");
        html_age(text, state.facts.time_unix_ns);
        text_put(text, "</td></tr>\n");
    }
    text->failed |= spark.failed;
    text_fini(&spark);
    run_state_fini(&state);
    return result;
}

/* ---- the page ------------------------------------------------------------------------ */

static void put_choice(struct text *text, const struct runs *runs, const char *name,
                       const char *label, size_t chosen)
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

static void put_comparison(struct text *text, const struct runs *runs)
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
                    const struct runs *runs, const struct request *request,
                    struct failure *failure)
{
    uint64_t page = request->page;
    static const struct html_head heads[] = {
        {"Run", ""},        {"Health", ""},    {"Layers", ""},
        {"Zeros", ""},      {"Steps", "num"},  {"Steps/h", "num"},
        {"Reports", "num"}, {"Newest", "num"}, {NULL, NULL},
    };
    size_t from = page * RUNS_PAGE < runs->count ? (size_t)page * RUNS_PAGE : runs->count;
    size_t to = runs->count - from > RUNS_PAGE ? from + RUNS_PAGE : runs->count;

    html_table_begin(text, "Runs, the newest first", "runs");
    html_heads(text, heads);
    for (size_t i = from; i < to; i++)
        if (put_row(web, request, text, runs->rows[i].run, failure) < 0)
            return -1;
    html_table_end(text);
    html_pages(text, "?page=", page, to < runs->count);
    return 0;
}

int serve_index_page(const struct web_config *web, const struct request *request,
                     struct reply *reply, struct failure *failure)
{
    struct text *text = &reply->body;
    struct runs runs = {0};
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
            qsort(runs.rows, runs.count, sizeof(runs.rows[0]), compare_newest);
            result = put_runs(web, text, &runs, request, failure);
            put_comparison(text, &runs);
        }
        html_end(reply);
    }
    free(runs.rows);
    return result;
}
