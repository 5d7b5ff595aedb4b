/* SPDX-License-Identifier: Apache-2.0 */
#include "store/reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/path.h"
#include "store/stale.h"
#include "store/statements.h"
#include "store/waiting.h"

int store_reader_open(struct store_reader **reader, struct store *store,
                      struct failure *failure)
{
    struct store_reader *r = calloc(1, sizeof(*r));

    if (!r)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "store reader: out of memory");
    if (db_open(&r->db, store_path(store), DB_READS, failure)) {
        free(r);
        return fail_context(failure, "store reader");
    }
    r->rules = *store_rules(store);
    r->db.rules = &r->rules;
    r->db.slots = store_slots(store);
    r->db.mend = store_mend;
    r->db.mend_arg = store;
    *reader = r;
    return 0;
}

void store_reader_close(struct store_reader *reader)
{
    if (!reader)
        return;
    db_close(&reader->db);
    free(reader);
}

int begin_read(struct db *db, struct failure *failure)
{
    /* The end needs no memory then. */
    if (!statement(db, ST_ROLLBACK, failure))
        return -1;
    /* If the last end failed all the same, its transaction is still open. */
    if (!sqlite3_get_autocommit(db->sqlite))
        end_read(db);
    return statement_run(db, ST_BEGIN_READ, failure);
}

void end_read(struct db *db)
{
    struct failure ignored = {0};

    statement_run(db, ST_ROLLBACK, &ignored);
    if (db->mends && db->mend)
        db->mend(db->mend_arg);
    db->mends = false;
}

int find_readable_run(struct db *db, const char *name, struct run_row *run,
                      struct failure *failure)
{
    int found = find_run(db, name, run, failure);

    return found == 1 && (run->state & RUN_FORMING) ? 0 : found;
}

int read_report_row(const struct report_row *row, const struct run_row *run,
                    struct trit_report *report, struct failure *failure)
{
    if (report_row_decode(row, report, failure))
        return -1;
    report->superseded = row->step > run_until(run, row->key->attempt);
    report->has_stored = report->stored = true;
    return 0;
}

/* ---- one report ------------------------------------------------------------ */

/* Tells whether the layer, the replica or the attempt is missing. */
static int layer_not_found(struct db *db, const struct store_get *get,
                           struct failure *failure)
{
    struct layer_key key;
    struct layer_row next;

    layer_key_set(&key, get->run, get->layer);
    key.attempt = 0;
    int found = find_layer(db, &key, &next, failure);

    if (found < 0)
        return -1;
    if (strcmp(next.key.run, key.run) != 0 || strcmp(next.key.layer, key.layer) != 0)
        return fail(failure, TRIT_NOT_FOUND, "layer", "no layer \"%s\" in run \"%s\"",
                    get->layer, get->run);
    if (get->attempt)
        return fail(failure, TRIT_NOT_FOUND, "attempt",
                    "no report of layer \"%s\" in run \"%s\" of attempt %" PRIu32
                    ", replica %" PRIu32,
                    get->layer, get->run, get->attempt, get->replica);
    key.replica = get->replica;
    if (find_layer(db, &key, &next, failure) < 0)
        return -1;
    key.attempt = next.key.attempt;
    if (layer_key_compare(&next.key, &key) == 0)
        return fail(failure, TRIT_NOT_FOUND, "attempt",
                    "all reports of layer \"%s\" in run \"%s\" are superseded; attempt "
                    "%" PRId64 " has some",
                    get->layer, get->run, key.attempt);
    return fail(failure, TRIT_NOT_FOUND, "replica",
                "no report of layer \"%s\" in run \"%s\" of replica %" PRIu32, get->layer,
                get->run, get->replica);
}

static int step_not_found(const struct store_get *get, struct failure *failure)
{
    return fail(failure, TRIT_NOT_FOUND, "step",
                "no report at step %" PRIu64 " of layer \"%s\" in run \"%s\"", get->step,
                get->layer, get->run);
}

/* The newest visible step among the attempts of a layer. 1: *layer has it. 0: none. */
static int find_newest(struct db *db, const struct store_get *get,
                       const struct run_row *run, struct layer_key *key,
                       struct layer_row *layer, int64_t *step, struct failure *failure)
{
    uint32_t newest = get->attempt ? get->attempt : run->attempts;
    uint32_t oldest = get->attempt ? get->attempt : 1;

    for (uint32_t attempt = newest; attempt >= oldest; attempt--) {
        int64_t from, to;

        key->attempt = attempt;
        int found = find_layer(db, key, layer, failure);

        if (found < 0)
            return -1;
        if (found == 0 || !visible_steps(run, get->attempt, layer, &from, &to))
            continue;
        return find_newest_step(db, layer, to, step, failure) ? -1 : 1;
    }
    return 0;
}

/* The layer's row that has, or would have, the step. 1: *layer is that row. */
static int find_step(struct db *db, const struct store_get *get,
                     const struct run_row *run, struct layer_key *key,
                     struct layer_row *layer, int64_t *step, struct failure *failure)
{
    if (get->step > INT64_MAX)
        return step_not_found(get, failure);
    *step = (int64_t)get->step;
    key->attempt = get->attempt ? get->attempt : run_attempt_at(run, *step);
    return find_layer(db, key, layer, failure);
}

int find_get(struct db *db, const struct store_get *get, struct run_row *run,
             struct layer_row *layer, struct report_row *row, struct failure *failure)
{
    struct layer_key key;
    int64_t step;
    int found = find_readable_run(db, get->run, run, failure);

    if (found < 0)
        return -1;
    if (found == 0)
        return fail(failure, TRIT_NOT_FOUND, "run", "no run \"%s\"", get->run);
    layer_key_set(&key, get->run, get->layer);
    key.replica = get->replica;
    found = get->has_step ? find_step(db, get, run, &key, layer, &step, failure)
                          : find_newest(db, get, run, &key, layer, &step, failure);
    if (found < 0)
        return -1;
    if (found == 0) {
        /* Another attempt may have reports of this layer. */
        const struct store_get latest = {.run = get->run,
                                         .layer = get->layer,
                                         .attempt = get->attempt,
                                         .replica = get->replica};

        found = get->has_step ? find_newest(db, &latest, run, &key, layer, &step, failure)
                              : 0;
        if (found == 0)
            return layer_not_found(db, get, failure);
        return found < 0 ? -1 : step_not_found(get, failure);
    }
    found = find_report(db, layer, step, row, failure);
    if (found == 0) {
        report_row_release(row);
        return step_not_found(get, failure);
    }
    return found < 0 ? -1 : 0;
}

/* Says in the newest report of a layer that the layer is stale, if it is. */
static int tell_staleness(struct store_reader *reader, const struct store_get *get,
                          const struct run_row *run, const struct layer_row *layer,
                          struct trit_report *report, struct failure *failure)
{
    struct trit_health_reason reason;
    int64_t newest;
    int found = 0;

    if (get->now_unix_ns != 0)
        found = newest_in_row(&reader->db, run, layer, INT64_MAX, &newest, failure);
    /* Another report is damaged: that does not concern this one. */
    if (found < 0 && damage_is_of_rows(&reader->db, failure))
        found = 0;
    if (found == 1 && (uint64_t)newest == report->step)
        found = find_staleness(&reader->db, &reader->rules, layer, newest,
                               get->now_unix_ns, &reason, failure);
    else if (found == 1)
        found = 0;
    if (found == 1)
        health_add(report, &reason);
    return found < 0 ? -1 : 0;
}

int store_read_report(struct store_reader *reader, const struct store_get *get,
                      struct trit_report *report, struct failure *failure)
{
    struct db *db = &reader->db;
    struct layer_row layer;
    struct report_row row;
    struct failure missing = {.status = TRIT_OK};
    struct run_row run;
    int outcome;

    if (begin_read(db, failure))
        return -1;
    outcome = find_get(db, get, &run, &layer, &row, &missing);
    if (outcome == 0) {
        outcome = read_report_row(&row, &run, report, failure);
        report_row_release(&row);
        if (outcome == 0)
            outcome = tell_staleness(reader, get, &run, &layer, report, failure);
    } else if (missing.status == TRIT_NOT_FOUND) {
        int found = waiting_get(db, get, report, failure);

        outcome = found == 1 ? 0 : -1;
        if (found == 0)
            fail_as(failure, &missing);
    } else {
        fail_as(failure, &missing);
    }
    end_read(db);
    return outcome;
}
