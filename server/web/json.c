/* SPDX-License-Identifier: Apache-2.0 */
/* Reports as JSON, for curl and programs. A page of a list has at most PAGE_ROWS_MAX
 * rows; `next` is the path of the next page, or null. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "json_value.h"
#include "proto/health.h"
#include "report_json.h"
#include "store/store.h"
#include "web/handlers.h"
#include "web/pattern.h"
#include "web/reply.h"
#include "web/run_state.h"

/* A list while the store visits its rows. */
struct listing {
    json_t *rows;
    json_t *damaged; /* steps of reports that cannot be read; NULL: none */
    const struct request *request;
    size_t limit;            /* rows of the page */
    const char *after;       /* of runs: an earlier page had those up to this name */
    bool more, failed;       /* the list goes on after the page; out of memory */
    struct trit_report last; /* the last one of the page */
};

/* Takes `row`, and NULL as: out of memory. False ends the visit. */
static bool add(struct listing *listing, json_t *row)
{
    if (json_array_append_new(listing->rows, row)) /* fails when row is NULL */
        listing->failed = true;
    return !listing->failed;
}

/* There was nothing to list. False when memory ran out. */
static bool empty(const struct listing *listing)
{
    return !listing->failed && !listing->damaged && listing->rows &&
           json_array_size(listing->rows) == 0;
}

static size_t rows_of(const struct request *request)
{
    return request->has_limit && request->limit < PAGE_ROWS_MAX ? (size_t)request->limit
                                                                : PAGE_ROWS_MAX;
}

static bool wanted(const struct request *request, const struct trit_report *report)
{
    return (!request->layer[0] || pattern_matches(request->layer, report->layer)) &&
           (!request->health[0] ||
            strcmp(health_name(report->health), request->health) == 0);
}

/* There is one more than the page has. */
static bool is_full(struct listing *listing)
{
    listing->more = json_array_size(listing->rows) + json_array_size(listing->damaged) ==
                    listing->limit;
    return listing->more;
}

static bool add_report(void *arg, const struct trit_report *report)
{
    struct listing *listing = arg;

    if (!wanted(listing->request, report))
        return true;
    if (is_full(listing))
        return false;
    listing->last = *report;
    return add(listing, report_json(&listing->last));
}

/* A report that is damaged in the store has no row; it is named. Its health is not known, so
 * that no filter by health leaves it out. */
static bool add_damaged(void *arg, const struct store_key *key)
{
    struct listing *listing = arg;
    const char *layer = listing->request->layer;

    if (layer[0] && !pattern_matches(layer, key->layer))
        return true;
    if (is_full(listing))
        return false;
    listing->last.step = key->step;
    strcpy(listing->last.layer, key->layer);
    if (!listing->damaged)
        listing->damaged = json_array();
    if (json_array_append_new(
            listing->damaged,
            json_pack("{s:s, s:o}", "layer", key->layer, "step", json_uint64(key->step))))
        listing->failed = true;
    return !listing->failed;
}

/* The path of the next page, written by `write`; null on the last page. */
static json_t *next_path(const struct listing *listing,
                         void (*write)(struct text *text, const struct request *request,
                                       const struct listing *listing),
                         const struct request *request)
{
    struct text path = {0};
    json_t *next;

    if (!listing->more)
        return json_null();
    write(&path, request, listing);
    next = path.failed ? NULL : json_stringn(path.bytes, path.count);
    text_fini(&path);
    return next;
}

static void listing_fini(struct listing *listing)
{
    json_decref(listing->rows);
    json_decref(listing->damaged);
}

/* Takes the rows and `next`. */
static int reply_list(struct reply *reply, json_t *object, const char *name,
                      struct listing *listing, json_t *next, struct failure *failure)
{
    if (listing->failed || !object || !next ||
        json_object_set(object, name, listing->rows) ||
        (listing->damaged && json_object_set(object, "damaged", listing->damaged)) ||
        json_object_set(object, "next", next)) {
        json_decref(object);
        object = NULL;
    }
    listing_fini(listing);
    json_decref(next);
    return reply_json(reply, object, failure);
}

/* ---- /v1/runs ---------------------------------------------------------------- */

static bool add_run(void *arg, const struct store_run_info *info)
{
    struct listing *listing = arg;

    if (listing->after && strcmp(info->run, listing->after) <= 0)
        return true;
    if (is_full(listing))
        return false;
    strncpy(listing->last.run, info->run, sizeof(listing->last.run) - 1);
    json_t *row =
        json_pack("{s:s, s:o}", "run", info->run, "layers", json_uint64(info->layers));

    if (row && json_put_sums(row, info)) {
        json_decref(row);
        row = NULL;
    }
    return add(listing, row);
}

/* The parameters that the next page has too. */
static void next_filters(struct text *path, const struct request *request)
{
    if (request->layer[0]) {
        text_put(path, "&layer=");
        text_url(path, request->layer);
    }
    if (request->health[0]) {
        text_put(path, "&health=");
        text_url(path, request->health);
    }
    if (request->has_attempt)
        text_format(path, "&attempt=%" PRIu64, request->attempt);
    if (request->has_replica)
        text_format(path, "&replica=%" PRIu64, request->replica);
    if (request->has_limit)
        text_format(path, "&limit=%" PRIu64, request->limit);
}

static void next_runs(struct text *path, const struct request *request,
                      const struct listing *listing)
{
    text_put(path, "/v1/runs?after=");
    text_url(path, listing->last.run);
    next_filters(path, request);
}

int serve_runs_json(const struct web_config *web, const struct request *request,
                    struct reply *reply, struct failure *failure)
{
    struct listing listing = {.rows = json_array(),
                              .request = request,
                              .limit = rows_of(request),
                              .after = request->has_after ? request->after : NULL};

    if (store_read_runs(web->reader, add_run, &listing, failure) < 0) {
        listing_fini(&listing);
        return -1;
    }
    return reply_list(reply, json_object(), "runs", &listing,
                      next_path(&listing, next_runs, request), failure);
}

/* ---- /v1/runs/{run}/layers ---------------------------------------------------- */

static void next_layers(struct text *path, const struct request *request,
                        const struct listing *listing)
{
    text_put(path, "/v1/runs/");
    text_segment(path, request->names[0]);
    text_put(path, "/layers?after=");
    text_url(path, listing->last.layer);
    next_filters(path, request);
}

int serve_layers_json(const struct web_config *web, const struct request *request,
                      struct reply *reply, struct failure *failure)
{
    struct listing listing = {
        .rows = json_array(), .request = request, .limit = rows_of(request)};
    struct store_key after = {0};
    struct store_query query = {
        .run = request->names[0],
        .attempt = (uint32_t)request->attempt,
        .replica = (uint32_t)request->replica,
        .step_to = UINT64_MAX,
        .latest_only = true,
        .limit = UINT32_MAX,
        .after = request->has_after ? &after : NULL,
        .now_unix_ns = clock_unix_ns(),
        .passed = add_damaged,
    };

    strcpy(after.run, request->names[0]);
    strcpy(after.layer, request->after);
    after.replica = query.replica;
    if (store_read_reports(web->reader, &query, add_report, &listing, failure) < 0) {
        listing_fini(&listing);
        return -1;
    }
    if (empty(&listing) && !request->has_after &&
        store_check_listed(web->reader, &query, failure) < 0) {
        listing_fini(&listing);
        return -1;
    }
    return reply_list(reply, json_pack("{s:s}", "run", request->names[0]), "layers",
                      &listing, next_path(&listing, next_layers, request), failure);
}

/* ---- /v1/runs/{run}/layers/{layer} -------------------------------------------- */

static void next_steps(struct text *path, const struct request *request,
                       const struct listing *listing)
{
    text_put(path, "/v1/runs/");
    text_segment(path, request->names[0]);
    text_put(path, "/layers/");
    text_segment(path, request->names[1]);
    text_format(path, "?from=%" PRIu64, listing->last.step + 1);
    if (request->has_to)
        text_format(path, "&to=%" PRIu64, request->to);
    next_filters(path, request);
}

static int serve_history(const struct web_config *web, const struct request *request,
                         struct reply *reply, struct failure *failure)
{
    struct listing listing = {
        .rows = json_array(), .request = request, .limit = rows_of(request)};
    struct store_query query = {
        .run = request->names[0],
        .layer = request->names[1],
        .attempt = (uint32_t)request->attempt,
        .replica = (uint32_t)request->replica,
        .step_from = request->has_from ? request->from : 0,
        .step_to = request->has_to ? request->to : UINT64_MAX,
        .limit = UINT32_MAX,
        .now_unix_ns = clock_unix_ns(),
        .passed = add_damaged,
    };

    if (store_read_reports(web->reader, &query, add_report, &listing, failure) < 0 ||
        /* A range of steps without reports is an empty list; an unknown layer is 404. */
        (empty(&listing) && store_check_listed(web->reader, &query, failure) < 0)) {
        listing_fini(&listing);
        return -1;
    }
    return reply_list(
        reply, json_pack("{s:s, s:s}", "run", query.run, "layer", query.layer), "reports",
        &listing, next_path(&listing, next_steps, request), failure);
}

int serve_layer_json(const struct web_config *web, const struct request *request,
                     struct reply *reply, struct failure *failure)
{
    struct trit_report report;

    if (request->has_from || request->has_to)
        return serve_history(web, request, reply, failure);
    const struct store_get get = {.run = request->names[0],
                                  .layer = request->names[1],
                                  .attempt = (uint32_t)request->attempt,
                                  .replica = (uint32_t)request->replica,
                                  .has_step = request->has_step,
                                  .step = request->step,
                                  .now_unix_ns = clock_unix_ns()};

    if (store_read_report(web->reader, &get, &report, failure) < 0)
        return -1;
    return reply_json(reply, report_json(&report), failure);
}
