/* SPDX-License-Identifier: Apache-2.0 */
/* Reports in the order in which they were filed. */
#include <inttypes.h>
#include <string.h>

#include "store/reader.h"
#include "store/statements.h"
#include "store/walk.h"

struct feed {
    struct db *db;
    const char *run;    /* NULL: all */
    struct run_row row; /* of the last report */
    uint32_t left;
    bool (*visit)(void *arg, uint64_t sequence, const struct trit_report *report);
    void *arg;
};

/* Whether the layer has a report of this step: the report after it, or the layer's row, names
 * it. Then a damaged row of that key is this report, although its checksum does not show it. 1,
 * 0 or -1. */
static int is_named(struct db *db, const struct layer_key *key, int64_t step,
                    struct failure *failure)
{
    struct report_row next;
    struct layer_row layer;
    int found = find_layer(db, key, &layer, failure);

    if (found <= 0 || step >= layer.step_max)
        return found <= 0 ? found : step == layer.step_max;
    found = find_report(db, &layer, step + 1, &next, failure);
    if (found < 0)
        return -1;
    const bool named = next.previous == step;

    report_row_release(&next);
    return named;
}

/* The row that `select` is at is damaged. 1: it is of another run; go on. -1: DATA_LOSS that
 * names it. */
static int meet_damage(struct feed *feed, const struct layer_key *key,
                       const struct report_row *row, struct failure *failure)
{
    struct failure damage = *failure;
    char later[KEY_TEXT_BYTES];

    if (!damage_is_of_rows(feed->db, failure))
        return -1;
    const int named = is_named(feed->db, key, row->step, failure);

    if (named < 0 && !damage_is_of_rows(feed->db, failure))
        return -1;
    if (named == 1 && feed->run && strcmp(feed->run, key->run) != 0)
        return 1;
    *failure = damage;
    if (named == 1)
        fail_context(failure, "report of run \"%s\", layer \"%s\"%s, step %" PRId64,
                     key->run, key->layer, key_text(key, later), row->step);
    return fail_context(failure, "filed as number %" PRId64, row->sequence);
}

/* Visits the report that `select` is at. 1: go on. 0: stop. */
static int feed_report(struct feed *feed, sqlite3_stmt *select, struct failure *failure)
{
    struct trit_report report;
    struct report_row row;
    struct layer_key key;

    if (report_row_read_any(feed->db, select, &key, &row, failure))
        return meet_damage(feed, &key, &row, failure);
    if (feed->run && strcmp(feed->run, key.run) != 0)
        return 1;
    int found = strcmp(feed->row.run, key.run) == 0
                    ? feed->row.attempts > 0 && !(feed->row.state & RUN_FORMING)
                    : find_readable_run(feed->db, key.run, &feed->row, failure);

    if (found < 0)
        return meet_damage(feed, &key, &row, failure); /* of the run's row */
    if (found == 0)
        return 1;
    if (read_report_row(&row, &feed->row, &report, failure))
        return meet_damage(feed, &key, &row, failure);
    feed->left--;
    return feed->visit(feed->arg, (uint64_t)row.sequence, &report) && feed->left > 0;
}

int store_read_since(struct store_reader *reader, const char *run, uint64_t sequence,
                     uint32_t limit,
                     bool (*visit)(void *arg, uint64_t sequence,
                                   const struct trit_report *report),
                     void *arg, struct failure *failure)
{
    struct feed feed = {.db = &reader->db,
                        .run = run && run[0] ? run : NULL,
                        .left = limit,
                        .visit = visit,
                        .arg = arg};

    if (limit == 0 || sequence >= INT64_MAX)
        return 0;
    if (begin_read(&reader->db, failure))
        return -1;
    sqlite3_stmt *select = statement(&reader->db, ST_REPORTS_SINCE, failure);
    int found = select ? 1 : -1;

    if (select)
        db_bind_i64(select, 1, (int64_t)sequence);
    while (found == 1 && (found = db_step(&reader->db, select, failure)) == 1)
        found = feed_report(&feed, select, failure);
    if (select)
        db_reset(select);
    end_read(&reader->db);
    return found < 0 ? fail_context(failure, "reports in order of filing") : 0;
}

int store_read_sequence(struct store_reader *reader, uint64_t *sequence,
                        struct failure *failure)
{
    sqlite3_stmt *select = statement(&reader->db, ST_SEQUENCE, failure);
    int found = select ? db_step(&reader->db, select, failure) : -1;

    if (found == 1)
        *sequence = (uint64_t)sqlite3_column_int64(select, 0);
    if (select)
        db_reset(select);
    return found == 1 ? 0 : -1;
}
