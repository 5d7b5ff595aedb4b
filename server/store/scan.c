/* SPDX-License-Identifier: Apache-2.0 */
#include "store/scan.h"

#include <string.h>

#include "store/statements.h"

enum { SEQUENCE_COLUMN = 0, STEP_COLUMN = 5 }; /* of REPORT_COLUMNS */

/* SQLite orders any text behind all numbers. */
static int64_t step_of(sqlite3_stmt *select)
{
    const int type = sqlite3_column_type(select, STEP_COLUMN);

    return type == SQLITE_INTEGER || type == SQLITE_FLOAT
               ? sqlite3_column_int64(select, STEP_COLUMN)
               : INT64_MAX;
}

/* 1: go on. */
static int visit_row(struct db *db, sqlite3_stmt *select, const struct scan *scan,
                     struct failure *failure)
{
    struct scanned row = {.sequence = sqlite3_column_int64(select, SEQUENCE_COLUMN),
                          .step = step_of(select)};
    struct failure reason = {0};
    struct report_row report;

    if (report_row_read(db, select, scan->key, &report, &reason) == 0)
        row.intact = &report;
    else if (!damage_is_of_rows(db, &reason))
        return fail_as(failure, &reason);
    return scan->visit(scan->arg, &row, failure);
}

int scan_reports(struct db *db, const struct scan *scan, struct failure *failure)
{
    sqlite3_stmt *select =
        statement(db, scan->backwards ? ST_REPORTS_DOWN : ST_REPORTS_FROM, failure);
    int go_on = 1, found = 1;

    if (!select)
        return -1;
    int bound = bind_key(select, 1, scan->key) | db_bind_i64(select, 5, scan->from);

    if (bound)
        go_on = db_fail(db, bound, failure);
    while (go_on == 1 && (found = db_step(db, select, failure)) == 1)
        go_on = visit_row(db, select, scan, failure);
    db_reset(select);
    return go_on < 0 || found < 0 ? -1 : 0;
}

int scan_newest(struct db *db, const struct layer_key *key, int64_t from, int64_t to,
                int64_t *step, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_REPORTS_DOWN, failure);

    if (!select)
        return -1;
    int bound = bind_key(select, 1, key) | db_bind_i64(select, 5, to);
    int found = bound ? db_fail(db, bound, failure) : db_step(db, select, failure);

    if (found == 1)
        *step = step_of(select);
    db_reset(select);
    return found == 1 ? *step >= from && *step <= to : found;
}

int scan_oldest(struct db *db, struct layer_key *key, int64_t *step, int64_t *sequence,
                struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_REPORTS_SINCE, failure);
    struct failure reason = {0};
    struct report_row row;

    if (!select)
        return -1;
    db_bind_i64(select, 1, INT64_MIN);
    int found = db_step(db, select, failure);

    if (found == 1) {
        *sequence = sqlite3_column_int64(select, SEQUENCE_COLUMN);
        *step = step_of(select);
        if (report_row_read_any(db, select, key, &row, &reason) &&
            !damage_is_of_rows(db, &reason))
            found = fail_as(failure, &reason);
    }
    db_reset(select);
    return found;
}

int scan_layer(struct db *db, const struct layer_key *key, struct layer_row *row,
               struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_LAYERS_FROM, failure);
    int found = 1, intact = 0;

    if (!select)
        return -1;
    int bound = bind_key(select, 1, key);

    if (bound)
        found = db_fail(db, bound, failure);
    while (found == 1 && !intact && (found = db_step(db, select, failure)) == 1) {
        struct failure reason = {0};

        intact = layer_row_read(db, select, row, &reason) == 0;
        if (!intact && !damage_is_of_rows(db, &reason))
            found = fail_as(failure, &reason);
    }
    db_reset(select);
    if (found == 0)
        *row = (struct layer_row){.key = {.run = ""}};
    return found < 0 ? -1 : 0;
}

/* ---- keys ----------------------------------------------------------------------------- */

static bool scan_text(sqlite3_stmt *select, int column, char *text)
{
    const void *value = sqlite3_column_blob(select, column);
    const size_t bytes = (size_t)sqlite3_column_bytes(select, column);

    if (sqlite3_column_type(select, column) != SQLITE_TEXT || bytes == 0 ||
        bytes > TRIT_NAME_BYTES_MAX || !value || memchr(value, '\0', bytes))
        return false;
    memcpy(text, value, bytes);
    text[bytes] = '\0';
    return true;
}

bool scan_key(sqlite3_stmt *select, struct layer_key *key)
{
    key->replica = sqlite3_column_int64(select, 2);
    key->attempt = sqlite3_column_int64(select, 3);
    return scan_text(select, 0, key->run) && scan_text(select, 1, key->layer) &&
           sqlite3_column_type(select, 2) == SQLITE_INTEGER &&
           sqlite3_column_type(select, 3) == SQLITE_INTEGER;
}

/* Numbers that only damage makes so great end the layer. */
void layer_key_step(struct layer_key *key)
{
    if (key->attempt < INT64_MAX) {
        key->attempt++;
        return;
    }
    key->attempt = 0;
    if (key->replica < INT64_MAX)
        key->replica++;
    else
        strcpy(key->layer, NAME_BEHIND_ALL);
}

/* The first key that the statement gives; what is no key is skipped. */
static int first_key(struct db *db, enum statement_id id, const struct layer_key *from,
                     struct layer_key *key, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, id, failure);
    struct layer_key read;
    int found = 1;

    if (!select)
        return -1;
    int bound = bind_key(select, 1, from);

    if (bound)
        found = db_fail(db, bound, failure);
    while (found == 1 && (found = db_step(db, select, failure)) == 1)
        if (scan_key(select, &read))
            break;
    db_reset(select);
    *key = found == 1 ? read : (struct layer_key){.run = ""};
    return found < 0 ? -1 : 0;
}

int scan_layer_key(struct db *db, const struct layer_key *from, struct layer_key *key,
                   struct failure *failure)
{
    return first_key(db, ST_LAYER_AT, from, key, failure);
}

int scan_layer_before(struct db *db, const struct layer_key *key,
                      struct layer_key *before, struct failure *failure)
{
    struct layer_key until = *key;

    until.attempt--;
    return first_key(db, ST_LAYERS_DOWN, &until, before, failure);
}

int scan_report_key(struct db *db, const struct layer_key *from, struct layer_key *key,
                    struct failure *failure)
{
    return first_key(db, ST_REPORT_KEY_FROM, from, key, failure);
}

int scan_report_before(struct db *db, const struct layer_key *key,
                       struct layer_key *before, struct failure *failure)
{
    return first_key(db, ST_REPORT_KEY_BEFORE, key, before, failure);
}

int scan_has_layer(struct db *db, const struct layer_key *key, struct failure *failure)
{
    struct layer_key found;

    if (scan_layer_key(db, key, &found, failure))
        return -1;
    if (layer_key_compare(&found, key) == 0)
        return 1;
    if (scan_report_key(db, key, &found, failure))
        return -1;
    return layer_key_compare(&found, key) == 0;
}

int scan_count(struct db *db, const struct layer_key *key, int64_t *count,
               struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_REPORTS_COUNT, failure);

    if (!select)
        return -1;
    int bound = bind_key(select, 1, key);
    int found = bound ? db_fail(db, bound, failure) : db_step(db, select, failure);

    if (found == 1)
        *count = sqlite3_column_int64(select, 0);
    db_reset(select);
    return found < 0 ? -1 : 0;
}
