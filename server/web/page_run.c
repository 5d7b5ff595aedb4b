/* SPDX-License-Identifier: Apache-2.0 */
/* The page of a run: how it does, what changed, and a heat map of its layers. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"
#include "web/handlers.h"
#include "web/heat.h"
#include "web/html.h"
#include "web/pattern.h"
#include "web/run_state.h"
#include "web/waiting.h"

enum {
    CHANGES_MAX = 12, /* in the list of what changed */
    NAMED_MAX = 3,    /* layers of one line of it */
};

/* ---- the head of the page -------------------------------------------------------------- */

static void put_summary(struct text *text, const struct run_state *state)
{
    const struct store_run_info *facts = &state->facts;

    text_put(text, "<dl class=\"tiles\">\n<div><dt>Health</dt><dd>");
    html_condition(text, state->layers.condition);
    text_put(text, "</dd></div>\n<div><dt>Layers</dt><dd>");
    html_count(text, state->layers.total);
    text_put(text, "</dd></div>\n<div class=\"two\"><dt>By health</dt><dd>");
    html_conditions(text, state->layers.conditions);
    text_put(text, "</dd></div>\n<div><dt>Steps</dt><dd>");
    html_steps(text, facts->has_steps, facts->step_min, facts->step_max);
    text_put(text, "</dd></div>\n<div><dt>Reports</dt><dd>");
    html_count(text, facts->reports);
    text_put(text, "</dd></div>\n<div><dt>Newest</dt><dd>");
    if (facts->reports)
        html_age(text, facts->time_unix_ns);
    else
        text_put(text, "none");
    text_put(text, "</dd></div>\n</dl>\n");
}

/* Why a layer is not well: its worst reason, else its finding. */
static void put_why(struct text *text, const struct layer_state *layer)
{
    if (layer->reason_count > 0) {
        text_html(text, layer->reason.text[0] ? layer->reason.text : layer->reason.rule);
        if (layer->reason_count > 1)
            text_format(text, " (and %" PRIu64 " more)", layer->reason_count - 1);
    } else if (layer->has_finding) {
        html_finding_kind(text, layer->finding);
    } else if (layer->non_finite > 0) {
        text_put(text, "not finite");
    } else {
        text_put(text, "not ternary");
    }
}

static uint64_t since_of(const struct layer_state *layer)
{
    return layer->reason_count > 0 ? layer->reason.since_step : layer->step;
}

static int compare_changes(const void *a, const void *b)
{
    const struct layer_state *left = *(const struct layer_state *const *)a;
    const struct layer_state *right = *(const struct layer_state *const *)b;

    if (left->condition != right->condition)
        return left->condition > right->condition ? -1 : 1;
    if (since_of(left) != since_of(right))
        return since_of(left) > since_of(right) ? -1 : 1;
    return natural_compare(left->name, right->name);
}

/* To the reports that the row tells of: those of the layer's worst replica. */
static void put_link(struct text *text, const struct run_state *state,
                     const struct layer_state *layer)
{
    html_layer_link(text, state->run, layer->name,
                    (struct html_view){state->attempt, layer->replica});
}

static void put_change(struct text *text, const struct run_state *state,
                       const struct layer_state *layer)
{
    text_put(text, "<li>");
    html_condition(text, layer->condition);
    text_format(text, " <span class=\"step\">%s step %" PRIu64 "</span> ",
                layer->reason_count > 0 ? "since" : "at", since_of(layer));
    put_link(text, state, layer);
    text_put(text, ": ");
    put_why(text, layer);
    text_put(text, "</li>\n");
}

static bool is_only_stale(const struct layer_state *layer)
{
    return layer->reason_count == 1 && strcmp(layer->reason.rule, "stale") == 0;
}

/* A run that has ended or hangs has a line for all of its layers, not one for each. */
static void put_silent(struct text *text, const struct run_state *state,
                       const struct layer_state *const *list, size_t count)
{
    text_put(text, "<li>");
    html_condition(text, list[0]->condition);
    text_format(text,
                " <span class=\"step\">since step %" PRIu64
                "</span> %s%zu layers have stopped reporting: ",
                since_of(list[0]), count == state->layers.total ? "all " : "", count);
    for (size_t i = 0; i < count && i < NAMED_MAX; i++) {
        text_put(text, i ? ", " : "");
        put_link(text, state, list[i]);
    }
    if (count > NAMED_MAX)
        text_format(text, " and %zu more", count - NAMED_MAX);
    text_put(text, "; ");
    put_why(text, list[0]);
    text_put(text, "</li>\n");
}

/* Moves those that are only stale behind the others, which keep their order. */
static size_t part_silent(const struct layer_state **list, size_t count,
                          const struct layer_state **room)
{
    size_t kept = 0, silent = 0;

    for (size_t i = 0; i < count; i++) {
        if (is_only_stale(list[i]))
            room[silent++] = list[i];
        else
            list[kept++] = list[i];
    }
    for (size_t i = 0; i < silent; i++)
        list[kept + i] = room[i];
    return silent;
}

static void put_list(struct text *text, const struct run_state *state,
                     const struct layer_state *const *list, size_t count, size_t silent)
{
    const size_t single = silent > 1 ? count - silent : count;

    text_put(text, "<ol class=\"changes\">\n");
    for (size_t i = 0; i < single && i < CHANGES_MAX; i++)
        put_change(text, state, list[i]);
    if (single < count)
        put_silent(text, state, list + single, silent);
    text_put(text, "</ol>\n");
    if (single > CHANGES_MAX)
        text_format(text, "<p>And %zu more, in the table below.</p>\n",
                    single - CHANGES_MAX);
}

/* What is not well: the worst first, and of those the newest change. */
static int put_changes(struct text *text, const struct run_state *state,
                       struct failure *failure)
{
    size_t sick = state->layers.conditions[CONDITION_WARNING] +
                  state->layers.conditions[CONDITION_FAILING];
    const struct layer_state **list;
    size_t count = 0;

    text_put(text, "<h2>What changed</h2>\n");
    if (sick == 0) {
        text_put(text, "<p>No layer is failing or has a warning.</p>\n");
        return 0;
    }
    list = calloc(2 * sick, sizeof(list[0]));
    if (!list)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    for (size_t i = 0; i < state->layers.count && count < sick; i++)
        if (state->layers.list[i].condition >= CONDITION_WARNING)
            list[count++] = &state->layers.list[i];
    qsort(list, count, sizeof(list[0]), compare_changes);
    put_list(text, state, list, count, part_silent(list, count, list + sick));
    free(list);
    return 0;
}

/* ---- the form ---------------------------------------------------------------------------- */

static void put_option(struct text *text, const char *value, const char *words,
                       const char *chosen)
{
    text_format(text, "<option value=\"%s\"%s>%s</option>", value,
                strcmp(value, chosen) == 0 ? " selected" : "", words);
}

static void put_form(struct text *text, const struct request *request,
                     const struct quantity *quantity)
{
    text_put(text, "<form class=\"tools\"><label>Show <select name=\"by\">");
    for (const struct quantity *q = quantities; q->name; q++)
        put_option(text, q->name, q->title, quantity->name);
    text_put(text, "</select></label> <label>Order <select name=\"order\">");
    put_option(text, "worst", "worst first", request->order);
    put_option(text, "name", "by name", request->order);
    text_put(text, "</select></label> <label>Health <select name=\"health\">");
    put_option(text, "", "all", request->health);
    put_option(text, "failing", "failing", request->health);
    put_option(text, "warning", "warning", request->health);
    put_option(text, "healthy", "healthy", request->health);
    text_put(text, "</select></label> <label>Layers <input name=\"layer\" "
                   "placeholder=\"part of a name, or layers.*.up\" value=\"");
    text_html(text, request->layer);
    text_put(text, "\"></label> ");
    if (request->attempt)
        text_format(text,
                    "<input type=\"hidden\" name=\"attempt\" value=\"%" PRIu64 "\">",
                    request->attempt);
    if (request->replica)
        text_format(text,
                    "<input type=\"hidden\" name=\"replica\" value=\"%" PRIu64 "\">",
                    request->replica);
    text_put(text, "<button>Show</button></form>\n");
}

/* ---- the map ------------------------------------------------------------------------------ */

/* A table of layers with their strips. */
struct map {
    const struct quantity *quantity;
    struct history history;
    double *values; /* for heat_strip */
};

static int compare_names(const void *name, const void *layer)
{
    return strcmp(name, ((const struct history_layer *)layer)->name);
}

static void put_strip(struct text *text, struct map *map, const struct layer_state *layer,
                      double *last)
{
    const struct history *history = &map->history;
    const struct history_layer *found =
        history->layer_count ? bsearch(layer->name, history->layers, history->layer_count,
                                       sizeof(history->layers[0]), compare_names)
                             : NULL;

    if (!found || history->step_count == 0) {
        text_put(text, layer->figures_replica > 0
                           ? "<span class=\"soft\">no report of replica 0</span>"
                           : "<span class=\"soft\">not read</span>");
        return;
    }
    *last = heat_strip(text, map->quantity, history, found, map->values,
                       layer->reason_count > 0 ? layer->reason.since_step : UINT64_MAX,
                       layer_newest(layer, map->quantity->field))
                .last;
}

static void put_verdict(struct text *text, const struct layer_state *layer)
{
    if (layer->verdict == TRIT_VERDICT_FAIL) {
        text_put(text, "<span class=\"bad\">\xe2\x9c\x97 ");
        if (layer->has_finding)
            html_finding_kind(text, layer->finding);
        else
            text_put(text, layer->non_finite > 0 ? "not finite" : "not ternary");
        text_put(text, "</span>");
    } else if (layer->verdict == TRIT_VERDICT_INCONCLUSIVE) {
        text_put(text, "<span class=\"warn\">? inconclusive</span>");
    } else if (layer->has_finding && layer->condition == CONDITION_WARNING) {
        text_put(text, "<span class=\"warn\">! ");
        html_finding_kind(text, layer->finding);
        text_put(text, "</span>");
    } else {
        text_put(text, "\xe2\x9c\x93 pass");
    }
}

/* Its newest value is in the column of health; instead the row has the step since when. */
static bool shows_health(const struct quantity *quantity)
{
    return strcmp(quantity->name, "health") == 0;
}

static void put_row(struct text *text, struct map *map, const struct run_state *state,
                    const struct layer_state *layer)
{
    double last = (double)NAN;

    text_put(text, "<tr><th scope=\"row\" class=\"name\">");
    put_link(text, state, layer);
    text_put(text, "</th><td>");
    html_condition(text, layer->condition);
    text_put(text, "</td><td class=\"map\">");
    put_strip(text, map, layer, &last);
    text_put(text, "</td><td class=\"num\">");
    if (!shows_health(map->quantity))
        heat_value(text, map->quantity, last);
    else if (layer->condition >= CONDITION_WARNING)
        text_format(text, "%" PRIu64, since_of(layer));
    else
        text_put(text, "\xe2\x80\x93");
    text_put(text, "</td><td class=\"more\">");
    put_verdict(text, layer);
    text_format(text,
                "</td><td class=\"num more\">%" PRIu64 "</td><td class=\"num more\">",
                layer->step);
    html_percent_where(text, !layer->damaged, layer->zero_fraction);
    text_put(text, "</td><td class=\"num more\">");
    html_real_where(text, layer->has_scales, layer->scale_mean);
    text_put(text, "</td><td class=\"num more\">");
    html_real_where(text, layer->has_sqnr_db, layer->sqnr_db);
    text_put(text, "</td><td class=\"num more\">");
    if (layer->has_flips)
        html_percent(text, layer->flip_fraction);
    else
        text_put(text, "\xe2\x80\x93");
    text_put(text, "</td></tr>\n");
}

static void put_map_heads(struct text *text, const struct map *map)
{
    const struct history *history = &map->history;

    text_put(text, "<th scope=\"col\">Layer</th><th scope=\"col\">Health</th>"
                   "<th scope=\"col\" class=\"map\"><span class=\"axis\"><span>");
    if (history->step_count > 0)
        text_format(text,
                    "step %" PRIu64 "</span><span>%s</span><span>%" PRIu64 "</span>",
                    history->steps[0], map->quantity->title, history->end);
    else
        text_format(text, "%s</span>", map->quantity->title);
    text_format(text, "</span></th><th scope=\"col\" class=\"num\">%s</th>",
                shows_health(map->quantity) ? "Since" : "Newest");
    text_put(text,
             "<th scope=\"col\" class=\"more\">Verdict</th>"
             "<th scope=\"col\" class=\"num more\">Step</th>"
             "<th scope=\"col\" class=\"num more\">Zeros</th>"
             "<th scope=\"col\" class=\"num more\">Scale</th>"
             "<th scope=\"col\" class=\"num more\">SQNR dB</th>"
             "<th scope=\"col\" class=\"num more\">Flips</th></tr></thead><tbody>\n");
}

static bool wanted(const struct request *request, const struct layer_state *layer)
{
    return (!request->layer[0] || pattern_filters(request->layer, layer->name)) &&
           (!request->health[0] ||
            strcmp(condition_name(layer->condition), request->health) == 0);
}

static void put_pages(struct text *text, const struct request *request, bool more)
{
    struct text query = {0};

    text_put(&query, "?by=");
    text_url(&query, request->by);
    text_put(&query, "&amp;order=");
    text_url(&query, request->order);
    text_put(&query, "&amp;health=");
    text_url(&query, request->health);
    text_put(&query, "&amp;layer=");
    text_url(&query, request->layer);
    html_view(&query, "&amp;", html_view_of(request));
    text_put(&query, "&amp;page=");
    text_add(&query, "", 1);
    if (!query.failed)
        html_pages(text, query.bytes, request->page, more);
    text->failed |= query.failed;
    text_fini(&query);
}

static void put_map(struct text *text, struct map *map, const struct run_state *state,
                    const struct request *request)
{
    uint64_t skip =
        request->page < RUN_LAYERS_MAX ? request->page * PAGE_ROWS_MAX : RUN_LAYERS_MAX;
    size_t shown = 0, found = 0;

    heat_legend(text, map->quantity);
    html_table_begin(text, "Layers and their steps", "layers");
    put_map_heads(text, map);
    for (size_t i = 0; i < state->layers.count && shown <= PAGE_ROWS_MAX; i++) {
        if (!wanted(request, &state->layers.list[i]) || found++ < skip)
            continue;
        if (shown++ < PAGE_ROWS_MAX)
            put_row(text, map, state, &state->layers.list[i]);
    }
    html_table_end(text);
    if (found == 0)
        text_put(text, "<p>No layer is like that.</p>\n");
    put_pages(text, request, shown > PAGE_ROWS_MAX);
}

static int map_read(struct map *map, const struct web_config *web,
                    const struct request *request, const struct run_state *state,
                    struct failure *failure)
{
    const struct field *fields[HEAT_FIELDS];
    const struct history_query query = {
        .run = state->run,
        .attempt = (uint32_t)request->attempt,
        .replica = (uint32_t)request->replica,
        .from = state->facts.step_min,
        .to = state->facts.step_max,
        .every =
            history_every(state->facts.step_min, state->facts.step_max, HEAT_COLUMNS_MAX),
        .fields = fields,
        .field_count = HEAT_FIELDS,
        .layers_max = RUN_LAYERS_MAX,
    };

    heat_fields(map->quantity, fields);
    if (history_read(&map->history, web->reader, &query, failure) < 0)
        return -1;
    map->values = calloc(2 * map->history.step_count + 1, sizeof(map->values[0]));
    return map->values ? 0
                       : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

/* ---- the page ------------------------------------------------------------------------------- */

static void put_json_links(struct text *text, const char *run, struct html_view view)
{
    static const char *const links[][2] = {
        {"", "run"}, {"/layers", "newest reports"}, {"/history", "history"}};

    text_put(text, "<p>The same as JSON: ");
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        text_put(text, i ? ", <a href=\"/v1/runs/" : "<a href=\"/v1/runs/");
        text_segment(text, run);
        text_put(text, links[i][0]);
        html_view(text, "?", view);
        text_format(text, "\">%s</a>", links[i][1]);
    }
    text_put(text, ".</p>\n");
}

static int put_page(const struct web_config *web, const struct request *request,
                    struct reply *reply, struct run_state *state, struct map *map,
                    struct failure *failure)
{
    struct text *text = &reply->body;

    html_begin(reply, web, state->run);
    text_put(text, "<p class=\"crumbs\"><a href=\"/\">Runs</a></p><h1>");
    text_html(text, state->run);
    text_put(text, "</h1>\n");
    if (request->attempt)
        text_format(text, "<p>Attempt %" PRIu64 " of %" PRIu32 "</p>\n", request->attempt,
                    state->facts.attempt);
    if (request->replica)
        text_format(text, "<p>Replica %" PRIu64 "</p>\n", request->replica);
    put_summary(text, state);
    if (put_changes(text, state, failure) < 0 ||
        html_waiting(web, text, state->run, failure) < 0)
        return -1;
    if (strcmp(request->order, "name") == 0)
        run_layers_sort_natural(&state->layers);
    else
        run_layers_sort_worst(&state->layers);
    text_put(text, "<h2 id=\"map\">Layers and their steps</h2>\n");
    put_form(text, request, map->quantity);
    if (state->layers.more) {
        text_put(text, "<p class=\"note\">Of ");
        html_count(text, state->layers.total);
        text_put(text, " layers ");
        html_count(text, state->layers.count);
        text_put(text, " are listed, with those that are not well.</p>\n");
    }
    if (map->history.more || map->history.cut)
        text_put(text, "<p class=\"note\">The run has more reports than one page reads; "
                       "some strips are incomplete.</p>\n");
    put_map(text, map, state, request);
    put_json_links(text, state->run, html_view_of(request));
    html_end(reply);
    return 0;
}

int serve_run_page(const struct web_config *web, const struct request *request,
                   struct reply *reply, struct failure *failure)
{
    struct map map = {.quantity = quantity_by_name(request->by)};
    struct run_state state = {0};
    int result = -1;

    if (!map.quantity)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "by",
                          "\"%.100s\" is not health, zero_share, dead_groups, flips, "
                          "scale_drift or sqnr",
                          request->by);
    if (run_state_read(&state, web, request, request->names[0], failure) == 0 &&
        map_read(&map, web, request, &state, failure) == 0)
        result = put_page(web, request, reply, &state, &map, failure);
    free(map.values);
    history_fini(&map.history);
    run_state_fini(&state);
    return result;
}
