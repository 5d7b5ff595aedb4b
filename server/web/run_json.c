/* SPDX-License-Identifier: Apache-2.0 */
/* One run as JSON: its sums, and the history of its layers. A history can have a million
 * numbers, so it is written as text, without a json_t for each. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "json_value.h"
#include "proto/health.h"
#include "web/handlers.h"
#include "web/history.h"
#include "web/reply.h"
#include "web/run_state.h"
#include "json/json.h"

/* A reply takes no further layer once it has so many values or bytes. It stays below
 * TEXT_BYTES_MAX. */
enum { HISTORY_REPLY_VALUES = 1 << 18, HISTORY_BYTES_MAX = 6 << 20 };

static json_t *health_json(enum trit_health health)
{
    return health == TRIT_HEALTH_ABSENT ? json_null() : json_string(health_name(health));
}

/* ---- /v1/runs/{run} ------------------------------------------------------------- */

int serve_run_json(const struct web_config *web, const struct request *request,
                   struct reply *reply, struct failure *failure)
{
    struct run_state s;
    json_t *json = NULL;

    if (run_state_read(&s, web, request, request->names[0], failure) == 0)
        json = json_pack(
            "{s:s, s:I, s:o, s:o, s:{s:o, s:o, s:o, s:o}, s:{s:o, s:o, s:o}}", "run",
            s.run, "attempt",
            (json_int_t)(request->attempt ? request->attempt : s.facts.attempt), "health",
            health_json(s.layers.health), "layers", json_uint64(s.layers.total),
            "layers_by_health", "healthy", json_uint64(s.layers.healths[TRIT_HEALTHY]),
            "warning", json_uint64(s.layers.healths[TRIT_HEALTH_WARNING]), "failing",
            json_uint64(s.layers.healths[TRIT_HEALTH_FAILING]), "unknown",
            json_uint64(s.layers.healths[TRIT_HEALTH_ABSENT]), "layers_by_verdict",
            "pass", json_uint64(s.layers.verdicts[TRIT_VERDICT_PASS]), "fail",
            json_uint64(s.layers.verdicts[TRIT_VERDICT_FAIL]), "inconclusive",
            json_uint64(s.layers.verdicts[TRIT_VERDICT_INCONCLUSIVE]));
    if (json && json_put_sums(json, &s.facts)) {
        json_decref(json);
        json = NULL;
    }
    run_state_fini(&s);
    if (!json && failure->status != TRIT_OK)
        return -1;
    return reply_json(reply, json, failure);
}

/* ---- /v1/runs/{run}/history ------------------------------------------------------ */

/* A name as a JSON string. */
static void put_name(struct text *text, const char *name)
{
    json_t *json = json_string(name);
    size_t bytes;
    char *words = json_print(json, 0, &bytes);

    json_decref(json);
    if (words)
        text_json(text, words, bytes);
    else
        text->failed = true;
    free(words);
}

static void put_value(struct text *text, const struct field *field, double value)
{
    char number[JSON_NUMBER_BYTES];

    if (isnan(value))
        text_put(text, "null");
    else if (field->kind == FIELD_WHOLE)
        text_format(text, "\"%" PRIu64 "\"", field_unpack(value));
    else if (field->kind == FIELD_COUNT)
        /* A mean is rounded; half is one up, also where the sum was rounded down. */
        text_format(text, "\"%" PRIu64 "\"", (uint64_t)(value + 0.5 + 1e-6));
    else
        text_put(text, json_number_text(value, number));
}

/* The steps of the axis at which reports of the layer are damaged in the store. */
static void put_damaged(struct text *text, const struct history *history,
                        const struct history_layer *layer)
{
    bool any = false;

    for (size_t row = layer->first; row < layer->first + layer->rows; row++) {
        if (!history->row_damaged[row])
            continue;
        text_format(text, "%s\"%" PRIu64 "\"", any ? ", " : ",\n      \"damaged\": [",
                    history->row_steps[row]);
        any = true;
    }
    if (any)
        text_put(text, "]");
}

static void put_layer(struct text *text, const struct history *history,
                      const struct history_query *query,
                      const struct history_layer *layer)
{
    text_put(text, "{\"layer\": ");
    put_name(text, layer->name);
    text_put(text, ", \"health\": ");
    if (layer->health == TRIT_HEALTH_ABSENT)
        text_put(text, "null");
    else
        text_format(text, "\"%s\"", health_name(layer->health));
    put_damaged(text, history, layer);
    for (size_t field = 0; field < query->field_count; field++) {
        size_t row = 0;

        text_format(text, ",\n      \"%s\": [", query->fields[field]->name);
        for (size_t i = 0; i < history->step_count; i++) {
            text_put(text, i ? ", " : "");
            put_value(text, query->fields[field],
                      history_value(history, layer, &row, history->steps[i], field));
        }
        text_put(text, "]");
    }
    text_put(text, "}");
}

/* The path of what follows: the layers behind `after`, or if it is NULL all layers from
 * another step on. */
static void put_next(struct text *text, const struct request *request, const char *after,
                     uint64_t next)
{
    text_put(text, "\"/v1/runs/");
    text_segment(text, request->names[0]);
    text_put(text, "/history?");
    if (after) {
        text_put(text, "after=");
        text_url(text, after);
    } else {
        text_format(text, "from=%" PRIu64, next);
    }
    if (request->fields[0]) {
        text_put(text, "&fields=");
        text_url(text, request->fields);
    }
    if (request->layer[0]) {
        text_put(text, "&layer=");
        text_url(text, request->layer);
    }
    if (request->has_from && after)
        text_format(text, "&from=%" PRIu64, request->from);
    if (request->has_to)
        text_format(text, "&to=%" PRIu64, request->to);
    if (request->has_every)
        text_format(text, "&every=%" PRIu64, request->every);
    if (request->has_limit)
        text_format(text, "&limit=%" PRIu64, request->limit);
    if (request->has_attempt)
        text_format(text, "&attempt=%" PRIu64, request->attempt);
    if (request->has_replica)
        text_format(text, "&replica=%" PRIu64, request->replica);
    text_put(text, "\"");
}

static void put_history(struct text *text, const struct request *request,
                        const struct history *history, const struct history_query *query,
                        const struct store_run_info *facts)
{
    size_t layer = 0;

    text_put(text, "{\n  \"run\": ");
    put_name(text, query->run);
    text_format(text, ",\n  \"attempt\": %" PRIu32 ",\n%s  \"steps\": [",
                request->attempt ? (uint32_t)request->attempt : facts->attempt,
                history->exact ? "" : "  \"approximate\": true,\n");
    for (size_t i = 0; i < history->step_count; i++)
        text_format(text, "%s\"%" PRIu64 "\"", i ? ", " : "", history->steps[i]);
    text_put(text, "],\n  \"layers\": [");
    while (layer < history->layer_count && text->count < HISTORY_BYTES_MAX) {
        text_put(text, layer ? ",\n    " : "\n    ");
        put_layer(text, history, query, &history->layers[layer++]);
    }
    text_put(text, "],\n  \"next\": ");
    if (layer < history->layer_count || history->more)
        put_next(text, request, history->layers[layer - 1].name, 0);
    else if (history->has_next)
        put_next(text, request, NULL, history->next);
    else
        text_put(text, "null");
    text_put(text, "\n}\n");
}

static int read_history(struct history *history, const struct web_config *web,
                        const struct history_query *query, struct failure *failure)
{
    if (history_read(history, web->reader, query, failure) < 0 ||
        history_add_staleness(history, web->reader, query, failure) < 0)
        return -1;
    if (history->cut)
        return fail_field(
            failure, TRIT_INVALID_ARGUMENT, "every",
            "layer \"%.100s\" has more reports than one reply holds: ask "
            "for fewer steps (from, to), fewer fields, or a larger interval",
            history->layers[0].name);
    if ((double)history->step_count * (double)query->field_count > HISTORY_CELLS_MAX)
        return fail_field(
            failure, TRIT_INVALID_ARGUMENT, "every",
            "%zu steps of %zu fields are more than one reply holds: ask for "
            "fewer steps (from, to), or a larger interval",
            history->step_count, query->field_count);
    return 0;
}

int serve_history_json(const struct web_config *web, const struct request *request,
                       struct reply *reply, struct failure *failure)
{
    const struct field *fields[HISTORY_FIELDS_MAX];
    struct history_query query = {
        .run = request->names[0],
        .layer = request->layer,
        .attempt = (uint32_t)request->attempt,
        .replica = (uint32_t)request->replica,
        .after = request->has_after ? request->after : NULL,
        .from = request->from,
        .to = request->has_to ? request->to : UINT64_MAX,
        .every = request->every,
        .fields = fields,
        .layers_max = request->has_limit ? (uint32_t)request->limit : HISTORY_LAYERS_MAX,
        .values_max = HISTORY_REPLY_VALUES,
    };
    int count = fields_parse(request->fields, fields, failure);
    struct history history = {0};
    struct store_run_info facts;
    int result;

    if (count < 0 ||
        store_read_run(web->reader, query.run, query.attempt, &facts, failure) < 0)
        return -1;
    query.field_count = (size_t)count;
    if (!request->has_from)
        query.from = facts.step_min;
    result = read_history(&history, web, &query, failure);
    if (result == 0) {
        reply->type = "application/json";
        put_history(&reply->body, request, &history, &query, &facts);
    }
    history_fini(&history);
    return result;
}
