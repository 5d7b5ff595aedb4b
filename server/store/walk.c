/* SPDX-License-Identifier: Apache-2.0 */
#include "store/walk.h"

#include <inttypes.h>
#include <string.h>

#include "store/scan.h"

static const struct layer_key no_layer;

static int lost(struct failure *failure)
{
    return fail(failure, TRIT_DATA_LOSS, NULL,
                "the store is damaged: neighbouring rows do not agree on what is between "
                "them");
}

/* ---- layers ---------------------------------------------------------------- */

/* Reads the next row of a statement that gives LAYER_COLUMNS: 1, 0 or -1. */
static int step_layer(struct db *db, sqlite3_stmt *select, struct layer_row *row,
                      struct failure *failure)
{
    int found = db_step(db, select, failure);

    return found == 1 && layer_row_read(db, select, row, failure) ? -1 : found;
}

static int seek_layer(struct db *db, sqlite3_stmt *select, const struct layer_key *key,
                      struct layer_row *row, struct failure *failure)
{
    int bound = bind_key(select, 1, key);

    return bound ? db_fail(db, bound, failure) : step_layer(db, select, row, failure);
}

/* Makes *row the end: it has no key, and its previous is the last layer. */
static int end_of_layers(struct db *db, struct layer_row *row, struct failure *failure)
{
    struct totals_row totals;

    if (totals_read(db, &totals, failure))
        return -1;
    *row = (struct layer_row){.previous = totals.last};
    return 0;
}

static bool is_none(const struct layer_key *key)
{
    return key->run[0] == '\0';
}

static bool is_end(const struct layer_row *row)
{
    return is_none(&row->key);
}

/* Whether `previous` may be the layer before `key`. No layer comes before all. */
static bool precedes(const struct layer_key *previous, const struct layer_key *key)
{
    return previous->run[0] == '\0' || layer_key_compare(previous, key) < 0;
}

int find_layer_from(struct db *db, const struct layer_key *key, struct layer_row *row,
                    struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_LAYER_AT, failure);

    if (!select)
        return -1;
    int found = seek_layer(db, select, key, row, failure);

    db_reset(select);
    return found == 0 ? end_of_layers(db, row, failure) : found < 0 ? -1 : 0;
}

int find_layer(struct db *db, const struct layer_key *key, struct layer_row *row,
               struct failure *failure)
{
    if (layer_cache_find(db, key, row))
        return 1;
    int failed = find_layer_from(db, key, row, failure);

    if (!failed && !is_end(row) && layer_key_compare(&row->key, key) == 0) {
        layer_cache_put(db, row);
        return 1;
    }
    if (!failed && precedes(&row->previous, key) &&
        (is_end(row) || layer_key_compare(&row->key, key) > 0))
        return 0;
    if (!failed)
        lost(failure);
    char later[KEY_TEXT_BYTES];

    db->mends |= failure->status == TRIT_DATA_LOSS;
    return fail_context(failure, "layer \"%s\"%s of run \"%s\"", key->layer,
                        key_text(key, later), key->run);
}

int find_filed(struct db *db, enum statement_id id, int64_t sequence,
               struct layer_row *layer, int64_t *step, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, id, failure);
    struct report_row row;
    struct layer_key key;

    if (!select)
        return -1;
    db_bind_i64(select, 1, sequence);
    int found = db_step(db, select, failure);

    if (found == 1 && report_row_read_any(db, select, &key, &row, failure))
        found = -1;
    if (found == 1)
        *step = row.step;
    db_reset(select);
    return found == 1 ? find_layer(db, &key, layer, failure) : found;
}

/* A visit failed; its failure needs no context. */
enum { VISIT_FAILED = -2 };

static int walk_forward(struct db *db, sqlite3_stmt *select,
                        const struct layer_walk *walk, struct failure *failure)
{
    struct layer_key last;
    struct layer_row row;
    bool first = true;
    int found = seek_layer(db, select, &walk->start, &row, failure);

    while (found >= 0) {
        if (found == 0 && end_of_layers(db, &row, failure))
            return -1;
        if (first ? !precedes(&row.previous, &walk->start)
                  : layer_key_compare(&row.previous, &last) != 0)
            return lost(failure);
        if (found == 0 || (walk->run && strcmp(row.key.run, walk->run) != 0))
            return 1;
        int go_on = walk->visit(walk->arg, &row, failure);

        if (go_on <= 0)
            return go_on < 0 ? VISIT_FAILED : 0;
        last = row.key;
        first = false;
        found = step_layer(db, select, &row, failure);
    }
    return -1;
}

/* ---- beside damage --------------------------------------------------------- */

struct beside {
    struct db *db;
    const struct layer_walk *walk;
    struct layer_key next; /* all before it were visited or told */
    bool unproved;         /* a damaged row was met since */
};

/* Takes `key` in the place of *first if it is nearer to `next`. */
static void take_nearer(const struct beside *beside, struct layer_key *first,
                        const struct layer_key *key)
{
    if (key->run[0] != '\0' && layer_key_compare(key, &beside->next) >= 0 &&
        (is_none(first) || layer_key_compare(key, first) < 0))
        *first = *key;
}

/* Tells of the layers before `until` (none: to the end) that the tables show, and of
 * `named`, if it is one of them. */
static int tell_until(struct beside *beside, const struct layer_key *until,
                      const struct layer_key *named, struct failure *failure)
{
    const struct layer_walk *walk = beside->walk;

    for (;;) {
        struct layer_key first = no_layer, of_layers, of_reports;

        if (scan_layer_key(beside->db, &beside->next, &of_layers, failure) ||
            scan_report_key(beside->db, &beside->next, &of_reports, failure))
            return VISIT_FAILED;
        take_nearer(beside, &first, &of_layers);
        take_nearer(beside, &first, &of_reports);
        take_nearer(beside, &first, named);
        if (is_none(&first) ||
            (!is_none(until) && layer_key_compare(&first, until) >= 0) ||
            (walk->run && strcmp(first.run, walk->run) != 0))
            return 1;
        int go_on = walk->damaged(walk->arg, &first, failure);

        if (go_on <= 0)
            return go_on < 0 ? VISIT_FAILED : 0;
        beside->next = first;
        layer_key_step(&beside->next);
    }
}

/* Reads rows until one is intact, or the end. 1: *row is it. 0: the end. */
static int next_intact(struct beside *beside, sqlite3_stmt *select, struct layer_row *row,
                       struct failure *failure)
{
    struct failure reason = {0};
    int found;

    while ((found = db_step(beside->db, select, failure)) == 1) {
        if (layer_row_read(beside->db, select, row, &reason) == 0 &&
            layer_key_compare(&row->key, &beside->next) >= 0)
            return 1;
        beside->unproved = true;
        if (reason.status != TRIT_OK && !damage_is_of_rows(beside->db, &reason))
            return fail_as(failure, &reason);
    }
    if (found < 0 || end_of_layers(beside->db, row, &reason) == 0)
        return found;
    beside->unproved = true; /* the totals are damaged */
    *row = (struct layer_row){.key = no_layer};
    return damage_is_of_rows(beside->db, &reason) ? 0 : fail_as(failure, &reason);
}

static int walk_beside(struct db *db, sqlite3_stmt *select, const struct layer_walk *walk,
                       struct failure *failure)
{
    struct beside beside = {.db = db, .walk = walk, .next = walk->start};
    struct layer_row row;
    struct layer_key last;
    bool first = true;
    int bound = bind_key(select, 1, &walk->start), found, go_on;

    if (bound)
        return db_fail(db, bound, failure);
    while ((found = next_intact(&beside, select, &row, failure)) >= 0) {
        const bool proved = first ? precedes(&row.previous, &walk->start)
                                  : layer_key_compare(&row.previous, &last) == 0;

        if (beside.unproved || !proved) {
            db->mends = true;
            go_on = tell_until(&beside, &row.key, &row.previous, failure);
            if (go_on <= 0)
                return go_on;
        }
        if (found == 0 || (walk->run && strcmp(row.key.run, walk->run) != 0))
            return 1;
        go_on = walk->visit(walk->arg, &row, failure);
        if (go_on <= 0)
            return go_on < 0 ? VISIT_FAILED : 0;
        last = beside.next = row.key;
        layer_key_step(&beside.next);
        beside.unproved = first = false;
    }
    return -1;
}

static int walk_backward(struct db *db, sqlite3_stmt *select,
                         const struct layer_walk *walk, struct failure *failure)
{
    struct layer_key wanted;
    struct layer_row row;

    if (find_layer_from(db, &walk->start, &row, failure))
        return -1;
    wanted = layer_key_compare(&row.key, &walk->start) == 0 ? row.key : row.previous;
    int found = seek_layer(db, select, &walk->start, &row, failure);

    while (found >= 0) {
        if (layer_key_compare(found ? &row.key : &no_layer, &wanted) != 0)
            return lost(failure);
        if (found == 0 || (walk->run && strcmp(row.key.run, walk->run) != 0))
            return 1;
        int go_on = walk->visit(walk->arg, &row, failure);

        if (go_on <= 0)
            return go_on < 0 ? VISIT_FAILED : 0;
        wanted = row.previous;
        found = step_layer(db, select, &row, failure);
    }
    return -1;
}

int walk_layers(struct db *db, const struct layer_walk *walk, struct failure *failure)
{
    enum statement_id id = walk->backwards ? ST_LAYERS_DOWN : ST_LAYERS_FROM;
    sqlite3_stmt *select = statement(db, id, failure);

    if (!select)
        return -1;
    int outcome = walk->backwards ? walk_backward(db, select, walk, failure)
                  : walk->damaged ? walk_beside(db, select, walk, failure)
                                  : walk_forward(db, select, walk, failure);

    db_reset(select);
    if (outcome == VISIT_FAILED)
        return -1;
    db->mends |= outcome < 0 && failure->status == TRIT_DATA_LOSS;
    if (outcome < 0 && walk->run)
        return fail_context(failure, "layers of run \"%s\"", walk->run);
    return outcome < 0 ? fail_context(failure, "layers of all runs") : outcome;
}

/* ---- reports --------------------------------------------------------------- */

static int report_context(const struct layer_row *layer, int64_t step,
                          struct failure *failure)
{
    char later[KEY_TEXT_BYTES];

    return fail_context(failure, "report of run \"%s\", layer \"%s\"%s, step %" PRId64,
                        layer->key.run, layer->key.layer, key_text(&layer->key, later),
                        step);
}

static int bind_reports(sqlite3_stmt *select, const struct layer_row *layer, int64_t step)
{
    return bind_key(select, 1, &layer->key) | db_bind_i64(select, 5, step);
}

/* Reads the next row of a statement that gives REPORT_COLUMNS: 1, 0 or -1. A report
 * newer than the layer's newest step is damage. */
static int step_report(struct db *db, sqlite3_stmt *select, const struct layer_row *layer,
                       struct report_row *row, struct failure *failure)
{
    int found = db_step(db, select, failure);

    if (found == 1 && report_row_read(db, select, &layer->key, row, failure))
        return -1;
    return found == 1 && row->step > layer->step_max ? lost(failure) : found;
}

/* find_report without the key in its failures. */
static int seek_report(struct db *db, const struct layer_row *layer, int64_t step,
                       struct report_row *row, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_REPORTS_FROM, failure);

    *row = (struct report_row){0};
    if (!select)
        return -1;
    int bound = bind_reports(select, layer, step);
    int found = bound ? db_fail(db, bound, failure)
                      : step_report(db, select, layer, row, failure);

    if (found == 1 && row->step == step)
        return 1;
    if (found == 1 && row->step > step && row->previous < step)
        return 0;
    if (found == 0 && step > layer->step_max) {
        db_reset(select);
        return 0;
    }
    if (found >= 0)
        lost(failure);
    db_reset(select);
    *row = (struct report_row){0};
    return -1;
}

int find_report(struct db *db, const struct layer_row *layer, int64_t step,
                struct report_row *row, struct failure *failure)
{
    int found = seek_report(db, layer, step, row, failure);

    return found < 0 ? report_context(layer, step, failure) : found;
}

void report_row_release(struct report_row *row)
{
    if (row->select)
        db_reset(row->select);
    row->select = NULL;
}

/* Visits rows from `from` on. Each must name the one before it. The first row beyond
 * `to`, or the layer's newest step, proves that the end is reached. */
static int reports_forward(struct db *db, sqlite3_stmt *select,
                           const struct report_walk *walk, int64_t *at,
                           struct failure *failure)
{
    struct report_row row = {.step = STEP_NONE};
    int64_t last = STEP_NONE;
    bool first = true;
    int found;

    while ((found = step_report(db, select, walk->layer, &row, failure)) == 1) {
        *at = row.step;
        if (row.step < walk->from ||
            (first ? row.previous >= walk->from : row.previous != last))
            return lost(failure);
        if (row.step > walk->to)
            return 1;
        int go_on = walk->visit(walk->arg, &row, failure);

        if (go_on <= 0)
            return go_on;
        last = row.step;
        first = false;
    }
    if (found < 0) {
        *at = row.step > *at ? row.step : *at; /* the last one that could be read */
        return -1;
    }
    if (first ? walk->layer->step_max >= walk->from : walk->layer->step_max != last)
        return lost(failure);
    return 1;
}

/* Finds the newest step at or before `to`. */
static int newest_until(struct db *db, const struct layer_row *layer, int64_t to,
                        int64_t *step, struct failure *failure)
{
    struct report_row row;

    if (to >= layer->step_max) {
        *step = layer->step_max;
        return 0;
    }
    int found = seek_report(db, layer, to, &row, failure);

    if (found < 0)
        return -1;
    *step = found ? to : row.previous;
    report_row_release(&row);
    return 0;
}

/* Visits rows from `to` downwards. Each must be the one that the last row named. */
static int reports_backward(struct db *db, sqlite3_stmt *select,
                            const struct report_walk *walk, int64_t *at,
                            struct failure *failure)
{
    struct report_row row;
    int64_t wanted;

    if (newest_until(db, walk->layer, walk->to, &wanted, failure))
        return -1;
    while (wanted >= walk->from && wanted != STEP_NONE) {
        *at = wanted;
        int found = step_report(db, select, walk->layer, &row, failure);

        if (found < 0)
            return -1;
        if (found == 0 || row.step != wanted)
            return lost(failure);
        int go_on = walk->visit(walk->arg, &row, failure);

        if (go_on <= 0)
            return go_on;
        wanted = row.previous;
    }
    return 1;
}

int find_newest_step(struct db *db, const struct layer_row *layer, int64_t until,
                     int64_t *step, struct failure *failure)
{
    return newest_until(db, layer, until, step, failure)
               ? report_context(layer, until, failure)
               : 0;
}

int walk_reports(struct db *db, const struct report_walk *walk, struct failure *failure)
{
    enum statement_id id = walk->backwards ? ST_REPORTS_DOWN : ST_REPORTS_FROM;
    sqlite3_stmt *select = statement(db, id, failure);
    int64_t at = walk->backwards ? walk->to : walk->from;

    if (!select)
        return -1;
    int bound = bind_reports(select, walk->layer, at);
    int outcome = bound             ? db_fail(db, bound, failure)
                  : walk->backwards ? reports_backward(db, select, walk, &at, failure)
                                    : reports_forward(db, select, walk, &at, failure);

    db_reset(select);
    return outcome < 0 ? report_context(walk->layer, at, failure) : outcome;
}
