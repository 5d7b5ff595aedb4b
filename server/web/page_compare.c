/* SPDX-License-Identifier: Apache-2.0 */
/* Two runs side by side: their sums, their means over the steps, and their layers. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "web/handlers.h"
#include "web/history.h"
#include "web/html.h"
#include "web/pattern.h"
#include "web/plot.h"
#include "web/run_state.h"

enum { SIDES = 2, MEANS = 4 };

static const char *const mean_names[MEANS] = {"zero_fraction", "scale_mean", "sqnr_db",
                                              "flip_fraction"};

struct sides {
    struct run_state states[SIDES];
    struct history histories[SIDES];
    uint64_t *steps; /* of both runs */
    size_t step_count;
    double *values; /* [mean][side][step] */
};

/* ---- means over the steps ---------------------------------------------------------------- */

static int read_history(const struct web_config *web, const struct run_state *state,
                        uint64_t every, struct history *history, struct failure *failure)
{
    const struct field *fields[MEANS];
    const struct history_query query = {
        .run = state->run,
        .from = state->facts.step_min,
        .to = state->facts.step_max,
        .every = every,
        .fields = fields,
        .field_count = MEANS,
        .layers_max = RUN_LAYERS_MAX,
    };

    for (size_t i = 0; i < MEANS; i++)
        fields[i] = field_by_name(mean_names[i]);
    return history_read(history, web->reader, &query, failure);
}

/* Both axes as one. `steps` has room for both. */
static size_t merge_steps(const struct history histories[SIDES], uint64_t *steps)
{
    size_t at[SIDES] = {0, 0}, count = 0;

    while (at[0] < histories[0].step_count || at[1] < histories[1].step_count) {
        uint64_t least = UINT64_MAX;

        for (int side = 0; side < SIDES; side++)
            if (at[side] < histories[side].step_count &&
                histories[side].steps[at[side]] < least)
                least = histories[side].steps[at[side]];
        for (int side = 0; side < SIDES; side++)
            at[side] += at[side] < histories[side].step_count &&
                        histories[side].steps[at[side]] == least;
        steps[count++] = least;
    }
    return count;
}

/* The means of one side on the common axis. `room` is for history_means. */
static void spread(const struct sides *sides, int side, size_t field, double *values,
                   double *room)
{
    const struct history *history = &sides->histories[side];
    size_t at = 0;

    history_means(history, field, room);
    for (size_t i = 0; i < sides->step_count; i++) {
        bool there = at < history->step_count && history->steps[at] == sides->steps[i];

        values[i] = there ? room[at++] : (double)NAN;
    }
}

static int read_means(struct sides *sides, const struct web_config *web,
                      struct failure *failure)
{
    uint64_t from = UINT64_MAX, to = 0, every;
    size_t most;
    double *room;

    for (int side = 0; side < SIDES; side++) {
        const struct store_run_info *facts = &sides->states[side].facts;

        from = facts->step_min < from ? facts->step_min : from;
        to = facts->step_max > to ? facts->step_max : to;
    }
    every = history_every(from, to, PLOT_COLUMNS_MAX);
    for (int side = 0; side < SIDES; side++)
        if (read_history(web, &sides->states[side], every, &sides->histories[side],
                         failure) < 0)
            return -1;
    most = sides->histories[0].step_count + sides->histories[1].step_count + 1;
    sides->steps = calloc(most, sizeof(sides->steps[0]));
    sides->values = calloc(MEANS * SIDES * most, sizeof(sides->values[0]));
    room = calloc(2 * most, sizeof(room[0]));
    if (!sides->steps || !sides->values || !room) {
        free(room);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    sides->step_count = merge_steps(sides->histories, sides->steps);
    for (size_t field = 0; field < MEANS; field++)
        for (int side = 0; side < SIDES; side++)
            spread(sides, side, field,
                   sides->values + (field * SIDES + (size_t)side) * sides->step_count,
                   room);
    free(room);
    return 0;
}

static void put_plots(struct text *text, const struct sides *sides)
{
    static const struct {
        const char *title;
        bool percent, logarithmic;
    } kinds[MEANS] = {{"Zero share, mean", true, false},
                      {"Scale, mean", false, true},
                      {"SQNR, mean, dB", false, false},
                      {"Flips, mean", true, false}};

    text_put(text, "<h2>Over the steps</h2>\n");
    for (int side = 0; side < SIDES; side++)
        if (sides->histories[side].more) {
            text_format(text, "<p class=\"note\">The plots of %s show the means",
                        side ? "B" : "A");
            history_put_part(text, &sides->histories[side]);
            text_put(text, ".</p>\n");
        }
    text_put(text, "<div class=\"plots two\">\n");
    for (size_t i = 0; i < MEANS; i++) {
        const double *values = sides->values + i * SIDES * sides->step_count;
        const struct plot plot = {
            .title = kinds[i].title,
            .percent = kinds[i].percent,
            .logarithmic = kinds[i].logarithmic,
            .steps = sides->steps,
            .step_count = sides->step_count,
            .lines = {{"A", "run-a", values}, {"B", "run-b", values + sides->step_count}},
            .line_count = SIDES,
            .bridges = true,
            .since = UINT64_MAX,
        };

        plot_figure(text, &plot);
    }
    text_put(text, "</div>\n");
}

/* ---- the tables --------------------------------------------------------------------------- */

static void put_summary(struct text *text, const struct sides *sides)
{
    static const struct html_head heads[] = {
        {"Run", ""},        {"Health", ""},    {"Layers", ""}, {"Steps", "num"},
        {"Reports", "num"}, {"Newest", "num"}, {NULL, NULL},
    };

    html_table_begin(text, "The two runs", "");
    html_heads(text, heads);
    for (int side = 0; side < SIDES; side++) {
        const struct run_state *state = &sides->states[side];

        text_format(text, "<tr><th scope=\"row\" class=\"name\">%s: ", side ? "B" : "A");
        html_run_link(text, state->run, (struct html_view){0});
        text_put(text, "</th><td>");
        html_condition(text, state->layers.condition);
        text_put(text, "</td><td>");
        html_conditions(text, state->layers.conditions);
        text_put(text, "</td><td class=\"num\">");
        if (state->facts.damaged) {
            html_not_known(text);
            text_put(text, "</td><td></td><td>");
        } else {
            html_steps(text, state->facts.has_steps, state->facts.step_min,
                       state->facts.step_max);
            text_put(text, "</td><td class=\"num\">");
            html_count(text, state->facts.reports);
            text_put(text, "</td><td class=\"num\">");
            html_age(text, state->facts.time_unix_ns);
        }
        text_put(text, "</td></tr>\n");
    }
    html_table_end(text);
}

/* One cell for each side. `pair` has NULL where a run lacks the layer. */
static void put_cells(struct text *text, const struct layer_state *const pair[SIDES],
                      void (*put)(struct text *text, const struct layer_state *layer))
{
    for (int side = 0; side < SIDES; side++) {
        text_put(text, "<td class=\"num\">");
        if (pair[side])
            put(text, pair[side]);
        else
            text_put(text, "\xe2\x80\x93");
        text_put(text, "</td>");
    }
}

static void put_condition(struct text *text, const struct layer_state *layer)
{
    html_condition(text, layer->condition);
}

static void put_zeros(struct text *text, const struct layer_state *layer)
{
    html_percent_where(text, !layer->damaged, layer->zero_fraction);
}

static void put_scale(struct text *text, const struct layer_state *layer)
{
    html_real_where(text, layer->has_scales, layer->scale_mean);
}

static void put_sqnr(struct text *text, const struct layer_state *layer)
{
    html_real_where(text, layer->has_sqnr_db, layer->sqnr_db);
}

static void put_step(struct text *text, const struct layer_state *layer)
{
    text_format(text, "%" PRIu64, layer->step);
}

static void put_row(struct text *text, const struct sides *sides,
                    const struct layer_state *const pair[SIDES])
{
    bool both = pair[0] && pair[1];
    int side = pair[0] ? 0 : 1;

    text_put(text, "<tr><th scope=\"row\" class=\"name\">");
    html_layer_link(text, sides->states[side].run, pair[side]->name,
                    (struct html_view){.replica = pair[side]->replica});
    text_put(text, "</th>");
    put_cells(text, pair, put_condition);
    put_cells(text, pair, put_step);
    put_cells(text, pair, put_zeros);
    put_cells(text, pair, put_scale);
    put_cells(text, pair, put_sqnr);
    text_put(text, "<td>");
    if (!both && sides->states[!side].layers.more)
        text_format(text, "not listed of %s", side ? "A" : "B");
    else if (!both)
        text_format(text, "only in %s", side ? "B" : "A");
    else if (pair[0]->damaged || pair[1]->damaged)
        text_put(text, "not known: damaged");
    else if (memcmp(pair[0]->digest, pair[1]->digest, TRIT_DIGEST_BYTES) == 0)
        text_put(text, "equal");
    else
        text_put(text, "different");
    text_put(text, "</td></tr>\n");
}

/* Walks both runs in natural order and shows the rows of one page. */
static void put_layers(struct text *text, const struct sides *sides,
                       const struct request *request)
{
    const struct run_state *states = sides->states;
    uint64_t skip =
        request->page < RUN_LAYERS_MAX ? request->page * PAGE_ROWS_MAX : RUN_LAYERS_MAX;
    size_t at[SIDES] = {0, 0}, row = 0;
    struct text query = {0};

    while (at[0] < states[0].layers.count || at[1] < states[1].layers.count) {
        const struct layer_state *pair[SIDES];
        int order;

        for (int side = 0; side < SIDES; side++)
            pair[side] = at[side] < states[side].layers.count
                             ? &states[side].layers.list[at[side]]
                             : NULL;
        order = !pair[0]   ? 1
                : !pair[1] ? -1
                           : natural_compare(pair[0]->name, pair[1]->name);
        if (order > 0)
            pair[0] = NULL;
        if (order < 0)
            pair[1] = NULL;
        at[0] += pair[0] != NULL;
        at[1] += pair[1] != NULL;
        if (row >= skip + PAGE_ROWS_MAX)
            break;
        if (row++ >= skip)
            put_row(text, sides, pair);
    }
    html_table_end(text);
    text_put(&query, "?a=");
    text_url(&query, states[0].run);
    text_put(&query, "&amp;b=");
    text_url(&query, states[1].run);
    text_put(&query, "&amp;page=");
    text_add(&query, "", 1);
    if (!query.failed)
        html_pages(text, query.bytes, request->page,
                   at[0] < states[0].layers.count || at[1] < states[1].layers.count);
    text->failed |= query.failed;
    text_fini(&query);
}

static void put_table(struct text *text, struct sides *sides,
                      const struct request *request)
{
    static const struct html_head heads[] = {
        {"Layer", ""},      {"Health A", "num"}, {"Health B", "num"}, {"Step A", "num"},
        {"Step B", "num"},  {"Zeros A", "num"},  {"Zeros B", "num"},  {"Scale A", "num"},
        {"Scale B", "num"}, {"SQNR A", "num"},   {"SQNR B", "num"},   {"Digest", ""},
        {NULL, NULL},
    };

    for (int side = 0; side < SIDES; side++)
        run_layers_sort_natural(&sides->states[side].layers);
    text_put(text, "<h2>Newest reports</h2>\n");
    html_table_begin(text, "Layers of both runs", "");
    html_heads(text, heads);
    put_layers(text, sides, request);
}

/* ---- the page ------------------------------------------------------------------------------ */

int serve_compare_page(const struct web_config *web, const struct request *request,
                       struct reply *reply, struct failure *failure)
{
    struct text *text = &reply->body;
    struct sides sides = {0};
    int result = -1;

    if (!request->a[0] || !request->b[0])
        return fail_field(failure, TRIT_INVALID_ARGUMENT, request->a[0] ? "b" : "a",
                          "give two runs: /compare?a=RUN&b=RUN");
    if (run_state_read(&sides.states[0], web, request, request->a, failure) == 0 &&
        run_state_read(&sides.states[1], web, request, request->b, failure) == 0 &&
        read_means(&sides, web, failure) == 0) {
        html_begin(reply, web, "Two runs");
        text_put(text, "<p class=\"crumbs\"><a href=\"/\">Runs</a></p>"
                       "<h1>Two runs side by side</h1>\n");
        put_summary(text, &sides);
        put_plots(text, &sides);
        put_table(text, &sides, request);
        html_end(reply);
        result = 0;
    }
    free(sides.steps);
    free(sides.values);
    for (int side = 0; side < SIDES; side++) {
        history_fini(&sides.histories[side]);
        run_state_fini(&sides.states[side]);
    }
    return result;
}
