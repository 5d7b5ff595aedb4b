/* Reading: a connection of its own that cannot write. Each function is one
 * statement, and so sees one consistent state. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "store/db.h"
#include "store/place.h"
#include "store/store.h"

enum {
    SLOT_REPORT,
    SLOT_LATEST,
    SLOT_RUN,
    SLOT_LAYER,
    SLOT_RUNS,
    SLOT_REPORTS, /* the first of one per set of filters */
};

/* What a query filters by; each adds its fragment of SQL. */
enum filter {
    BY_RUN = 1,
    BY_LAYER = 2,
    BY_AFTER = 4,
    BY_LATEST = 8,
    BACKWARDS = 16,
    FILTER_SETS = 32,
};
_Static_assert(SLOT_REPORTS + FILTER_SETS <= DB_STATEMENTS_MAX, "a slot for each set");

struct store_reader {
    struct db db;
};

int store_reader_open(struct store_reader **reader, struct store *store,
                      struct failure *failure)
{
    struct store_reader *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "store reader: out of memory");
    if (db_open(&r->db, store_path(store), DB_READS, failure)) {
        free(r);
        return fail_context(failure, "store reader");
    }
    *reader = r;
    return 0;
}

void store_reader_close(struct store_reader *reader)
{
    if (reader == NULL)
        return;
    db_close(&reader->db);
    free(reader);
}

/* Decodes the report in column 0 of the current row. */
static int read_row(sqlite3_stmt *statement, struct trit_report *report,
                    struct failure *failure)
{
    const uint8_t *bytes = sqlite3_column_blob(statement, 0);
    size_t count = (size_t)sqlite3_column_bytes(statement, 0);
    char error[CODEC_ERROR_BYTES];

    if (bytes == NULL)
        return fail(failure, TRIT_DATA_LOSS, NULL, "a stored report is empty");
    if (decode_report(bytes, count, report, error))
        return fail(failure, TRIT_DATA_LOSS, NULL, "a stored report is damaged: %s",
                    error);
    return 0;
}

/* ---- one report ------------------------------------------------------------ */

/* Whether a statement with a run and perhaps a layer has a row: 1, 0, -1. */
static int there(struct db *db, unsigned slot, const char *sql, const char *run,
                 const char *layer, struct failure *failure)
{
    sqlite3_stmt *select = db_statement(db, slot, sql, failure);
    int bound, row;

    if (select == NULL)
        return -1;
    bound = db_bind_text(select, 1, run) | (layer ? db_bind_text(select, 2, layer) : 0);
    row = bound ? db_fail(db, bound, failure) : db_step(db, select, failure);
    db_reset(select);
    return row;
}

/* Says which of run, layer and step is missing. */
static int not_found(struct db *db, const char *run, const char *layer, uint64_t step,
                     struct failure *failure)
{
    int found = there(db, SLOT_RUN, "SELECT 1 FROM layers WHERE run = ?1 LIMIT 1", run,
                      NULL, failure);

    if (found < 0)
        return -1;
    if (found == 0)
        return fail(failure, TRIT_NOT_FOUND, "run", "no run \"%s\"", run);
    found = there(db, SLOT_LAYER, "SELECT 1 FROM layers WHERE run = ?1 AND layer = ?2",
                  run, layer, failure);
    if (found < 0)
        return -1;
    if (found == 0)
        return fail(failure, TRIT_NOT_FOUND, "layer", "no layer \"%s\" in run \"%s\"",
                    layer, run);
    return fail(failure, TRIT_NOT_FOUND, "step",
                "no report at step %" PRIu64 " of layer \"%s\" in run \"%s\"", step,
                layer, run);
}

static sqlite3_stmt *select_report(struct db *db, bool has_step, struct failure *failure)
{
    if (has_step)
        return db_statement(
            db, SLOT_REPORT,
            "SELECT report FROM reports WHERE run = ?1 AND layer = ?2 AND step = ?3",
            failure);
    return db_statement(db, SLOT_LATEST,
                        "SELECT report FROM reports WHERE run = ?1 AND layer = ?2"
                        " ORDER BY step DESC LIMIT 1",
                        failure);
}

int store_read_report(struct store_reader *reader, const char *run, const char *layer,
                      bool has_step, uint64_t step, struct trit_report *report,
                      struct failure *failure)
{
    struct db *db = &reader->db;
    sqlite3_stmt *select;
    int row, bound;

    if (has_step && step > INT64_MAX)
        return not_found(db, run, layer, step, failure);
    select = select_report(db, has_step, failure);
    if (select == NULL)
        return -1;
    bound = db_bind_text(select, 1, run) | db_bind_text(select, 2, layer) |
            (has_step ? db_bind_u64(select, 3, step) : 0);
    row = bound ? db_fail(db, bound, failure) : db_step(db, select, failure);
    if (row == 1 && read_row(select, report, failure))
        row = -1;
    db_reset(select);
    return row == 1 ? 0 : row == 0 ? not_found(db, run, layer, step, failure) : -1;
}

/* ---- many reports ---------------------------------------------------------- */

enum { QUERY_SQL_BYTES = 512 };

/* A query made plain: what SQL filters by, and within which steps. */
struct plain_query {
    unsigned filters;
    uint64_t from, to;
    bool empty; /* nothing can match */
};

/* Where run (and layer) are fixed, `after` is dropped or becomes a bound of the
 * step, so that every page starts by an index look-up. */
static void plain_after(struct plain_query *plain, const struct store_query *query)
{
    bool backwards = query->newest_first;
    const struct trit_report *after = query->after;
    int past = strcmp(after->run, query->run);

    if (past == 0 && !(plain->filters & BY_LAYER))
        return;
    plain->filters &= ~(unsigned)BY_AFTER;
    if (past == 0)
        past = strcmp(after->layer, query->layer);
    if (past != 0) {
        plain->empty = (past > 0) != backwards;
    } else if (backwards) {
        plain->empty = after->step == 0;
        if (plain->to > after->step - 1)
            plain->to = after->step - 1;
    } else {
        plain->empty = after->step >= INT64_MAX;
        if (plain->from < after->step + 1)
            plain->from = after->step + 1;
    }
}

static struct plain_query plain(const struct store_query *query)
{
    struct plain_query plain = {.from = query->step_from, .to = query->step_to};

    if (plain.to > INT64_MAX)
        plain.to = INT64_MAX;
    if (query->run && query->run[0])
        plain.filters |= BY_RUN;
    if (query->layer && query->layer[0])
        plain.filters |= BY_LAYER;
    if (query->after)
        plain.filters |= BY_AFTER;
    if (query->latest_only)
        plain.filters |= BY_LATEST;
    if (query->newest_first)
        plain.filters |= BACKWARDS;
    if ((plain.filters & BY_AFTER) && (plain.filters & BY_RUN))
        plain_after(&plain, query);
    if (plain.from > INT64_MAX)
        plain.empty = true;
    return plain;
}

/* Fragments only; every value is bound. The newest steps are found by way of
 * layers, which is small. */
static void query_sql(unsigned filters, char sql[QUERY_SQL_BYTES])
{
    char by = filters & BY_LATEST ? 'l' : 'r';
    char beyond = filters & BACKWARDS ? '<' : '>';
    const char *order = filters & BACKWARDS ? " DESC" : "";
    char run[32] = "", layer[32] = "", after[96] = "";

    if (filters & BY_RUN)
        snprintf(run, sizeof(run), " AND %c.run = ?3", by);
    if (filters & BY_LAYER)
        snprintf(layer, sizeof(layer), " AND %c.layer = ?4", by);
    if (filters & BY_AFTER && filters & BY_LATEST && filters & BY_RUN)
        snprintf(after, sizeof(after), " AND l.layer %c ?6", beyond);
    else if (filters & BY_AFTER && filters & BY_LATEST)
        snprintf(after, sizeof(after), " AND (l.run, l.layer) %c (?5, ?6)", beyond);
    else if (filters & BY_AFTER && filters & BY_RUN)
        snprintf(after, sizeof(after), " AND (r.layer, r.step) %c (?6, ?7)", beyond);
    else if (filters & BY_AFTER)
        snprintf(after, sizeof(after), " AND (r.run, r.layer, r.step) %c (?5, ?6, ?7)",
                 beyond);
    snprintf(sql, QUERY_SQL_BYTES,
             "SELECT r.report FROM %s WHERE r.step BETWEEN ?1 AND ?2%s%s%s"
             " ORDER BY %c.run%s, %c.layer%s, r.step%s LIMIT ?8",
             filters & BY_LATEST
                 ? "layers l JOIN reports r ON r.run = l.run AND r.layer = l.layer"
                   " AND r.step = l.step_max"
                 : "reports r",
             run, layer, after, by, order, by, order, order);
}

static int query_bind(sqlite3_stmt *select, const struct store_query *query,
                      const struct plain_query *plain)
{
    int bound = db_bind_u64(select, 1, plain->from) | db_bind_u64(select, 2, plain->to) |
                db_bind_u64(select, 8, query->limit);

    if (plain->filters & BY_RUN)
        bound |= db_bind_text(select, 3, query->run);
    if (plain->filters & BY_LAYER)
        bound |= db_bind_text(select, 4, query->layer);
    if (plain->filters & BY_AFTER)
        bound |=
            db_bind_text(select, 5, query->after->run) |
            db_bind_text(select, 6, query->after->layer) |
            db_bind_u64(select, 7,
                        query->after->step < INT64_MAX ? query->after->step : INT64_MAX);
    return bound;
}

int store_read_reports(struct store_reader *reader, const struct store_query *query,
                       bool (*visit)(void *arg, const struct trit_report *report),
                       void *arg, struct failure *failure)
{
    struct db *db = &reader->db;
    struct plain_query plain_query = plain(query);
    struct trit_report report;
    char sql[QUERY_SQL_BYTES];
    sqlite3_stmt *select;
    int row, bound;

    if (plain_query.empty)
        return 0;
    query_sql(plain_query.filters, sql);
    select = db_statement(db, SLOT_REPORTS + plain_query.filters, sql, failure);
    if (select == NULL)
        return -1;
    bound = query_bind(select, query, &plain_query);
    row = bound ? db_fail(db, bound, failure) : db_step(db, select, failure);
    while (row == 1) {
        if (read_row(select, &report, failure))
            row = -1;
        else if (!visit(arg, &report))
            row = 0;
        else
            row = db_step(db, select, failure);
    }
    db_reset(select);
    return row;
}

/* ---- runs ------------------------------------------------------------------ */

int store_read_runs(struct store_reader *reader,
                    bool (*visit)(void *arg, const struct store_run_info *info),
                    void *arg, struct failure *failure)
{
    struct db *db = &reader->db;
    sqlite3_stmt *select =
        db_statement(db, SLOT_RUNS,
                     "SELECT run, COUNT(*), SUM(reports), MIN(step_min), MAX(step_max),"
                     " MAX(time_unix_ns) FROM layers GROUP BY run ORDER BY run",
                     failure);
    int row;

    if (select == NULL)
        return -1;
    while ((row = db_step(db, select, failure)) == 1) {
        struct store_run_info info = {
            .run = (const char *)sqlite3_column_text(select, 0),
            .layers = (uint64_t)sqlite3_column_int64(select, 1),
            .reports = (uint64_t)sqlite3_column_int64(select, 2),
            .step_min = (uint64_t)sqlite3_column_int64(select, 3),
            .step_max = (uint64_t)sqlite3_column_int64(select, 4),
            .time_unix_ns = sqlite3_column_int64(select, 5),
        };

        if (info.run == NULL) {
            row = db_fail(db, SQLITE_NOMEM, failure);
            break;
        }
        if (!visit(arg, &info)) {
            row = 0;
            break;
        }
    }
    db_reset(select);
    return row;
}
