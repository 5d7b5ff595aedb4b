/* SPDX-License-Identifier: Apache-2.0 */
/* Queries of many reports that go on beside damage. */
#include <string.h>

#include "store/listing_beside.h"
#include "store/scan.h"
#include "store/stale.h"
#include "store/walk.h"

int list_report(void *arg, const struct report_row *row, struct failure *failure)
{
    struct listing *listing = arg;
    struct trit_report report;

    if (read_report_row(row, &listing->run, &report, failure))
        return -1;
    if (listing->is_stale && row->step == listing->newest)
        health_add(&report, &listing->why);
    listing->left--;
    return listing->visit(listing->arg, &report) && listing->left > 0;
}

bool resumes_in(const struct store_query *query, const struct layer_row *layer)
{
    const struct store_key *after = query->after;

    return after && strcmp(after->run, layer->key.run) == 0 &&
           strcmp(after->layer, layer->key.layer) == 0 &&
           (query->latest_only || after->attempt == 0 ||
            after->attempt == layer->key.attempt);
}

/* ---- a layer, also if reports of it are damaged ---------------------------- */

struct passing {
    struct listing *listing;
    const struct layer_row *layer;
    int64_t to, last; /* last: the step up to which all is told */
    int64_t newest;   /* the highest step that the layer's row or an intact report has */
    bool damaged;     /* a row after `last` is damaged */
    bool stopped;
};

/* 1: go on. 0: stop. */
static int tell_damaged(struct listing *listing, const struct layer_key *layer,
                        int64_t step)
{
    struct store_key key = {.attempt = (uint32_t)layer->attempt,
                            .replica = (uint32_t)layer->replica,
                            .step = (uint64_t)step};

    strcpy(key.run, layer->run);
    strcpy(key.layer, layer->layer);
    return listing->query->passed(listing->arg, &key);
}

/* Tells what is damaged or missing after `last`, up to this step. False: stop. */
static bool pass_until(struct passing *passing, int64_t step)
{
    const int64_t end = step < passing->to ? step : passing->to;

    if (end > passing->last)
        passing->stopped = !tell_damaged(passing->listing, &passing->layer->key, end);
    passing->damaged = false;
    return !passing->stopped;
}

static int list_or_pass(void *arg, const struct scanned *row, struct failure *failure)
{
    struct passing *passing = arg;
    const bool beyond = row->step > passing->to;

    if (row->intact && row->step > passing->newest)
        passing->newest = row->step;
    /* After the step that the layer's row has, reports may be missing. */
    if (!row->intact || row->step > passing->layer->step_max) {
        passing->damaged |= !beyond;
        return !beyond;
    }
    if ((passing->damaged || row->intact->previous > passing->last) &&
        !pass_until(passing, row->intact->previous))
        return 0;
    if (beyond) {
        passing->last = passing->to;
        return 0;
    }
    const int listed = list_report(passing->listing, row->intact, failure);

    if (listed < 0 && damage_is_of_rows(passing->listing->db, failure)) {
        passing->damaged = true; /* it cannot be decoded */
        return 1;
    }
    passing->last = row->step;
    passing->stopped = listed == 0;
    return listed;
}

/* ---- the same, the newest first -------------------------------------------- */

struct falling {
    struct listing *listing;
    const struct layer_row *layer;
    int64_t from;
    int64_t wanted; /* the next step that the row above it, or the layer's, names */
    bool damaged;   /* a row from `wanted` on is damaged */
    bool newer;     /* reports that are newer than the layer's row were told */
    bool stopped;
};

static bool tell_wanted(struct falling *falling)
{
    if (falling->wanted >= falling->from)
        falling->stopped =
            !tell_damaged(falling->listing, &falling->layer->key, falling->wanted);
    falling->damaged = false;
    return !falling->stopped;
}

static int pass_newer(struct falling *falling, int64_t step)
{
    if (!falling->newer)
        falling->stopped = !tell_damaged(falling->listing, &falling->layer->key, step);
    falling->newer = true;
    return !falling->stopped;
}

static int list_or_pass_down(void *arg, const struct scanned *row,
                             struct failure *failure)
{
    struct falling *falling = arg;

    if (row->step < falling->from)
        return 0;
    if (row->step > falling->layer->step_max)
        return pass_newer(falling, row->step);
    if (!row->intact) {
        /* One above is not in the chain. */
        falling->damaged |= row->step <= falling->wanted;
        return 1;
    }
    if ((falling->damaged || row->step != falling->wanted) && !tell_wanted(falling))
        return 0;
    falling->wanted = row->step;
    const int listed = list_report(falling->listing, row->intact, failure);

    if (listed < 0 && damage_is_of_rows(falling->listing->db, failure)) {
        falling->damaged = true; /* it cannot be decoded */
        return 1;
    }
    falling->wanted = row->intact->previous;
    falling->stopped = listed == 0;
    return listed;
}

static int list_damaged_down(struct listing *listing, const struct layer_row *layer,
                             int64_t from, int64_t to, struct failure *failure)
{
    struct falling falling = {.listing = listing, .layer = layer, .from = from};
    const struct scan scan = {.key = &layer->key,
                              .from = to,
                              .backwards = true,
                              .visit = list_or_pass_down,
                              .arg = &falling};

    if (find_newest_step(listing->db, layer, to, &falling.wanted, failure)) {
        if (!damage_is_of_rows(listing->db, failure))
            return -1;
        falling.wanted = to;
        falling.damaged = true;
    }
    if (scan_reports(listing->db, &scan, failure))
        return -1;
    if (!falling.stopped)
        tell_wanted(&falling);
    return !falling.stopped;
}

/* At the end of the range only an intact report after it shows that none is missing. */
int list_damaged_layer(struct listing *listing, const struct layer_row *layer,
                       int64_t from, int64_t to, struct failure *failure)
{
    struct passing passing = {.listing = listing,
                              .layer = layer,
                              .to = to,
                              .last = from - 1,
                              .newest = layer->step_max};
    const struct scan scan = {
        .key = &layer->key, .from = from, .visit = list_or_pass, .arg = &passing};

    if (listing->query->newest_first)
        return list_damaged_down(listing, layer, from, to, failure);
    if (scan_reports(listing->db, &scan, failure))
        return -1;
    if (!passing.stopped)
        pass_until(&passing, passing.newest);
    return !passing.stopped;
}

/* Takes the first row from `to` on. */
static int take_place(void *arg, const struct scanned *row, struct failure *failure)
{
    struct passing *passing = arg;

    (void)failure;
    if (row->intact && row->step > passing->to && row->intact->previous < passing->to)
        passing->to = row->intact->previous;
    return 0;
}

int pass_latest(struct listing *listing, const struct layer_row *layer,
                struct failure *failure)
{
    const uint64_t until = listing->query->step_to;
    struct passing passing = {.listing = listing, .layer = layer};
    struct scan scan = {.key = &layer->key, .visit = take_place, .arg = &passing};
    int64_t from;

    if (!visible_steps(&listing->run, listing->query->attempt, layer, &from, &passing.to))
        return 1;
    if (until < (uint64_t)passing.to)
        passing.to = (int64_t)until;
    if (passing.to >= layer->step_max)
        return tell_damaged(listing, &layer->key, layer->step_max);
    scan.from = passing.to;
    return scan_reports(listing->db, &scan, failure)
               ? -1
               : tell_damaged(listing, &layer->key, passing.to);
}

/* ---- a layer whose row is damaged ------------------------------------------ */

/* The steps that the query asks for of such a layer. False: none. */
static bool asked_steps(const struct listing *listing, const struct layer_key *key,
                        int64_t *from, int64_t *to)
{
    const struct store_query *query = listing->query;

    if ((query->layer && query->layer[0] && strcmp(query->layer, key->layer) != 0) ||
        (!query->all_replicas && key->replica != query->replica) ||
        query->step_from > INT64_MAX)
        return false;
    *from = 0;
    *to = INT64_MAX;
    if (!listing->lost && (!listing->readable ||
                           !visible_range(&listing->run, query->attempt, key, from, to)))
        return false;
    if ((int64_t)query->step_from > *from)
        *from = (int64_t)query->step_from;
    if (query->step_to < (uint64_t)*to)
        *to = (int64_t)query->step_to;
    return *from <= *to;
}

/* Whether an earlier page told of it. It is one entry. */
static bool was_told(const struct store_query *query, const struct layer_key *key,
                     int64_t step)
{
    const struct store_key *after = query->after;
    const struct layer_row layer = {.key = *key};

    return query->latest_only ? resumes_in(query, &layer)
                              : after && strcmp(after->run, key->run) == 0 &&
                                    strcmp(after->layer, key->layer) == 0 &&
                                    (query->newest_first ? after->step <= (uint64_t)step
                                                         : after->step >= (uint64_t)step);
}

/* Whether a later attempt, whose row is intact, has the newest report. 1, 0 or -1. */
static int is_followed(struct listing *listing, const struct layer_key *key, int64_t from,
                       int64_t until, struct failure *failure)
{
    const struct layer_row layer = {.key = *key, .step_min = from, .step_max = from};
    int64_t step;

    if (!listing->query->latest_only || listing->query->attempt != 0 || listing->lost)
        return 0;
    const int newest =
        newest_in_row(listing->db, &listing->run, &layer, until, &step, failure);

    if (newest < 0)
        return damage_is_of_rows(listing->db, failure) ? 0 : -1;
    return newest == 0;
}

int pass_layer(struct listing *listing, const struct layer_key *key,
               struct failure *failure)
{
    int64_t from, to, step = 0;

    if (!asked_steps(listing, key, &from, &to))
        return 1;
    const int followed = is_followed(listing, key, from, to, failure);

    if (followed != 0)
        return followed < 0 ? -1 : 1;
    const int seen = scan_newest(listing->db, key, from, to, &step, failure);

    if (seen < 0)
        return -1;
    if (seen == 0)
        step = to;
    return was_told(listing->query, key, step) ? 1 : tell_damaged(listing, key, step);
}
