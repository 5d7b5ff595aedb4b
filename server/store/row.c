/* SPDX-License-Identifier: Apache-2.0 */
#include "store/row.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "kernels/kernels.h"
#include "store/row_cache.h"
#include "store/statements.h"

int layer_key_compare(const struct layer_key *a, const struct layer_key *b)
{
    int order = strcmp(a->run, b->run);

    if (order == 0)
        order = strcmp(a->layer, b->layer);
    if (order == 0)
        order = (a->replica > b->replica) - (a->replica < b->replica);
    return order ? order : (a->attempt > b->attempt) - (a->attempt < b->attempt);
}

const char *key_text(const struct layer_key *key, char text[KEY_TEXT_BYTES])
{
    size_t at = 0;

    text[0] = '\0';
    if (key->replica != 0)
        at = (size_t)snprintf(text, KEY_TEXT_BYTES, ", replica %" PRId64, key->replica);
    if (key->attempt != 1)
        snprintf(text + at, KEY_TEXT_BYTES - at, ", attempt %" PRId64, key->attempt);
    return text;
}

bool layer_key_same_replica(const struct layer_key *a, const struct layer_key *b)
{
    return strcmp(a->run, b->run) == 0 && strcmp(a->layer, b->layer) == 0 &&
           a->replica == b->replica;
}

void layer_key_set(struct layer_key *key, const char *run, const char *layer)
{
    size_t run_bytes = strnlen(run, sizeof(key->run) - 1);
    size_t layer_bytes = strnlen(layer, sizeof(key->layer) - 1);

    memcpy(key->run, run, run_bytes);
    key->run[run_bytes] = '\0';
    memcpy(key->layer, layer, layer_bytes);
    key->layer[layer_bytes] = '\0';
    key->replica = 0;
    key->attempt = 1;
}

/* ---- the writer's cache ---------------------------------------------------- */

uint32_t layer_key_hash(const struct layer_key *key)
{
    const int64_t numbers[] = {key->replica, key->attempt};
    uint32_t crc = crc32c(0, key->run, strlen(key->run) + 1);

    crc = crc32c(crc, key->layer, strlen(key->layer) + 1);
    return crc32c(crc, numbers, sizeof(numbers));
}

static int is_layer(const void *row, const void *key)
{
    return layer_key_compare(&((const struct layer_row *)row)->key, key) == 0;
}

bool layer_cache_find(struct db *db, const struct layer_key *key, struct layer_row *row)
{
    const struct layer_row *found =
        row_cache_find(db->cache, CACHED_LAYER, layer_key_hash(key), is_layer, key);

    if (found)
        *row = *found;
    return row->is_cached = found != NULL;
}

void layer_cache_put(struct db *db, const struct layer_row *row)
{
    row_cache_put(db->cache, CACHED_LAYER, layer_key_hash(&row->key), is_layer, &row->key,
                  row, sizeof(*row));
}

/* ---- CRCs ------------------------------------------------------------------ */

/* The CRC covers the kind, so that a row cannot pass for one of another table. */
enum row_kind {
    ROW_LAYER = 1,
    ROW_REPORT,
    ROW_CODES,
    ROW_TOTALS,
    ROW_LATER_LAYER, /* these three: see is_plain */
    ROW_LATER_REPORT,
    ROW_LATER_TOTALS,
    ROW_RUN,
    ROW_KEPT,
};

/* The CRC covers the numbers of a row first, among them the lengths of the texts and
 * blobs that follow. So no byte can move from one text to the next unnoticed. */
enum { NUMBERS_MAX = 16 };

uint32_t row_crc_numbers(const int64_t *numbers, size_t count)
{
    uint8_t bytes[NUMBERS_MAX * 8];

    for (size_t i = 0; i < count; i++)
        for (size_t byte = 0; byte < 8; byte++)
            bytes[8 * i + byte] = (uint8_t)((uint64_t)numbers[i] >> 8 * byte);
    return crc32c(0, bytes, 8 * count);
}

#define CRC_NUMBERS(...)                                                                 \
    row_crc_numbers((const int64_t[]){__VA_ARGS__},                                      \
                    sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static int64_t length(const char *text)
{
    return (int64_t)strlen(text);
}

/* Schema 2 knew neither attempts nor replicas. Rows of attempt 1 and replica 0 keep the
 * CRC that they had there, so that a migration copies rows without looking at them: damage
 * stays damage. All other rows have another kind, and these numbers too. */
static bool is_plain(const struct layer_key *key)
{
    return key->replica == 0 && key->attempt == (key->run[0] ? 1 : 0);
}

static uint32_t add_numbers(uint32_t crc, const int64_t *numbers, size_t count)
{
    uint32_t added = row_crc_numbers(numbers, count);

    return crc32c(crc, &added, sizeof(added));
}

#define ADD_NUMBERS(crc, ...)                                                            \
    add_numbers(crc, (const int64_t[]){__VA_ARGS__},                                     \
                sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static uint32_t add_key(uint32_t crc, const struct layer_key *key)
{
    return crc32c(crc32c(crc, key->run, strlen(key->run)), key->layer,
                  strlen(key->layer));
}

uint32_t layer_row_crc(const struct layer_row *row)
{
    bool plain = is_plain(&row->key) && is_plain(&row->previous);
    uint32_t crc = CRC_NUMBERS(
        plain ? ROW_LAYER : ROW_LATER_LAYER, row->step_min, row->step_max, row->reports,
        row->time_unix_ns, row->upload, row->group_size, row->partial,
        length(row->key.run), length(row->key.layer), length(row->shape),
        length(row->previous.run), length(row->previous.layer));

    crc = crc32c(add_key(crc, &row->key), row->shape, strlen(row->shape));
    crc = add_key(crc, &row->previous);
    return plain ? crc
                 : ADD_NUMBERS(crc, row->key.replica, row->key.attempt,
                               row->previous.replica, row->previous.attempt);
}

uint32_t report_row_crc(const struct report_row *row)
{
    bool plain = is_plain(row->key);
    uint32_t crc = CRC_NUMBERS(plain ? ROW_REPORT : ROW_LATER_REPORT, row->step,
                               row->previous, row->time_unix_ns, length(row->key->run),
                               length(row->key->layer), (int64_t)row->digest_bytes,
                               (int64_t)row->question_bytes, (int64_t)row->report_bytes);

    crc = crc32c(add_key(crc, row->key), row->digest, row->digest_bytes);
    crc = crc32c(crc, row->question, row->question_bytes);
    crc = crc32c(crc, row->report, row->report_bytes);
    return plain ? crc : ADD_NUMBERS(crc, row->key->replica, row->key->attempt);
}

uint32_t codes_row_crc(int64_t upload, int64_t chunk, const void *bytes, size_t count)
{
    return crc32c(CRC_NUMBERS(ROW_CODES, upload, chunk, (int64_t)count), bytes, count);
}

uint32_t totals_row_crc(const struct totals_row *row)
{
    bool plain = is_plain(&row->last) && row->sequence == 0;
    uint32_t crc = add_key(CRC_NUMBERS(plain ? ROW_TOTALS : ROW_LATER_TOTALS, row->layers,
                                       row->schema_crc, length(row->last.run),
                                       length(row->last.layer)),
                           &row->last);

    return plain ? crc
                 : ADD_NUMBERS(crc, row->last.replica, row->last.attempt, row->sequence);
}

uint32_t run_row_crc(const char *run, int64_t state, const void *attempts, size_t bytes)
{
    uint32_t crc = CRC_NUMBERS(ROW_RUN, state, length(run), (int64_t)bytes);

    return crc32c(crc32c(crc, run, strlen(run)), attempts, bytes);
}

uint32_t kept_row_crc(const struct kept_row *row)
{
    return CRC_NUMBERS(ROW_KEPT, row->sequence, row->upload, row->scales, row->bytes);
}

/* ---- columns --------------------------------------------------------------- */

/* Reads the columns of one row one after another. `sound` becomes false at the first
 * that has an unexpected type, size or value. */
struct columns {
    sqlite3_stmt *select;
    int at;
    bool sound;
};

static bool is(struct columns *columns, int type)
{
    if (sqlite3_column_type(columns->select, columns->at) != type)
        columns->sound = false;
    return columns->sound;
}

static int64_t next_i64(struct columns *columns)
{
    int64_t value = is(columns, SQLITE_INTEGER)
                        ? sqlite3_column_int64(columns->select, columns->at)
                        : 0;

    columns->at++;
    return value;
}

/* Copies a text of less than `space` bytes. Reads it as a blob, because SQLite would
 * copy a text to add a NUL. */
static void next_text(struct columns *columns, char *text, size_t space)
{
    size_t bytes = 0;

    if (is(columns, SQLITE_TEXT)) {
        const void *value = sqlite3_column_blob(columns->select, columns->at);

        bytes = (size_t)sqlite3_column_bytes(columns->select, columns->at);
        if (bytes >= space || (bytes > 0 && (!value || memchr(value, '\0', bytes)))) {
            columns->sound = false;
            bytes = 0;
        }
        if (bytes > 0)
            memcpy(text, value, bytes);
    }
    text[bytes] = '\0';
    columns->at++;
}

/* Checks that the next text is this one. */
static void next_is(struct columns *columns, const char *text)
{
    size_t bytes = strlen(text);

    if (is(columns, SQLITE_TEXT)) {
        const void *value = sqlite3_column_blob(columns->select, columns->at);

        if ((size_t)sqlite3_column_bytes(columns->select, columns->at) != bytes ||
            (bytes > 0 && (!value || memcmp(value, text, bytes) != 0)))
            columns->sound = false;
    }
    columns->at++;
}

static void next_is_number(struct columns *columns, int64_t number)
{
    if (next_i64(columns) != number)
        columns->sound = false;
}

static void next_key(struct columns *columns, struct layer_key *key)
{
    next_text(columns, key->run, TRIT_NAME_BYTES_MAX + 1);
    next_text(columns, key->layer, TRIT_NAME_BYTES_MAX + 1);
    key->replica = next_i64(columns);
    key->attempt = next_i64(columns);
}

static const uint8_t *next_blob(struct columns *columns, size_t *count)
{
    const uint8_t *bytes = NULL;

    *count = 0;
    if (is(columns, SQLITE_BLOB)) {
        bytes = sqlite3_column_blob(columns->select, columns->at);
        *count = (size_t)sqlite3_column_bytes(columns->select, columns->at);
        if (!bytes) {
            columns->sound = false;
            *count = 0;
        }
    }
    columns->at++;
    return bytes;
}

/* The CRC is the last column. */
static int check(struct db *db, struct columns *columns, uint32_t crc,
                 struct failure *failure)
{
    int64_t stored = next_i64(columns);

    if (columns->sound && stored == (int64_t)crc)
        return 0;
    if (sqlite3_errcode(db->sqlite) == SQLITE_NOMEM)
        return db_fail(db, SQLITE_NOMEM, failure);
    return fail(failure, TRIT_DATA_LOSS, NULL, "a row of the store is damaged: %s",
                columns->sound ? "its checksum differs"
                               : "a value has another type, size or range");
}

/* ---- layers ---------------------------------------------------------------- */

int layer_row_read(struct db *db, sqlite3_stmt *select, struct layer_row *row,
                   struct failure *failure)
{
    struct columns columns = {.select = select, .sound = true};

    next_key(&columns, &row->key);
    row->step_min = next_i64(&columns);
    row->step_max = next_i64(&columns);
    row->reports = next_i64(&columns);
    row->time_unix_ns = next_i64(&columns);
    row->upload = next_i64(&columns);
    next_text(&columns, row->shape, sizeof(row->shape));
    row->group_size = next_i64(&columns);
    row->partial = next_i64(&columns);
    next_key(&columns, &row->previous);
    row->is_cached = false;
    if (check(db, &columns, layer_row_crc(row), failure))
        return fail_context(failure, "row of layer \"%s\", run \"%s\"", row->key.layer,
                            row->key.run);
    return 0;
}

int bind_key(sqlite3_stmt *statement, int at, const struct layer_key *key)
{
    return db_bind_text(statement, at, key->run) |
           db_bind_text(statement, at + 1, key->layer) |
           db_bind_i64(statement, at + 2, key->replica) |
           db_bind_i64(statement, at + 3, key->attempt);
}

static int layer_row_write(struct db *db, enum statement_id id,
                           const struct layer_row *row, struct failure *failure)
{
    sqlite3_stmt *write = statement(db, id, failure);

    if (!write)
        return -1;
    int bound =
        bind_key(write, 1, &row->key) | db_bind_i64(write, 5, row->step_min) |
        db_bind_i64(write, 6, row->step_max) | db_bind_i64(write, 7, row->reports) |
        db_bind_i64(write, 8, row->time_unix_ns) | db_bind_i64(write, 9, row->upload) |
        db_bind_text(write, 10, row->shape) | db_bind_i64(write, 11, row->group_size) |
        db_bind_i64(write, 12, row->partial) | bind_key(write, 13, &row->previous) |
        db_bind_i64(write, 17, layer_row_crc(row));

    if (db_run_bound(db, write, bound, failure))
        return -1;
    layer_cache_put(db, row);
    return 0;
}

int layer_row_insert(struct db *db, const struct layer_row *row, struct failure *failure)
{
    return layer_row_write(db, ST_LAYER_INSERT, row, failure);
}

int layer_row_update(struct db *db, const struct layer_row *row, struct failure *failure)
{
    if (layer_row_write(db, ST_LAYER_UPDATE, row, failure))
        return -1;
    /* The row exists: it was read before. */
    return sqlite3_changes(db->sqlite) == 1 ? 0 : db_fail(db, SQLITE_CORRUPT, failure);
}

int layer_row_delete(struct db *db, const struct layer_key *key, struct failure *failure)
{
    sqlite3_stmt *delete = statement(db, ST_LAYER_DELETE, failure);

    row_cache_drop(db->cache, CACHED_LAYER, layer_key_hash(key), is_layer, key);
    return delete ? db_run_bound(db, delete, bind_key(delete, 1, key), failure) : -1;
}

/* ---- reports --------------------------------------------------------------- */

int report_row_read(struct db *db, sqlite3_stmt *select, const struct layer_key *key,
                    struct report_row *row, struct failure *failure)
{
    struct columns columns = {.select = select, .sound = true};

    *row = (struct report_row){.select = select, .key = key};
    row->sequence = next_i64(&columns);
    next_is(&columns, key->run);
    next_is(&columns, key->layer);
    next_is_number(&columns, key->replica);
    next_is_number(&columns, key->attempt);
    row->step = next_i64(&columns);
    row->previous = next_i64(&columns);
    row->time_unix_ns = next_i64(&columns);
    row->digest = next_blob(&columns, &row->digest_bytes);
    if (sqlite3_column_type(select, columns.at) != SQLITE_NULL)
        row->question = next_blob(&columns, &row->question_bytes);
    else
        columns.at++;
    row->report = next_blob(&columns, &row->report_bytes);
    if (row->previous < STEP_NONE || row->previous >= row->step)
        columns.sound = false;
    return check(db, &columns, report_row_crc(row), failure);
}

int report_row_read_any(struct db *db, sqlite3_stmt *select, struct layer_key *key,
                        struct report_row *row, struct failure *failure)
{
    struct columns columns = {.select = select, .at = 1, .sound = true};

    next_key(&columns, key);
    return report_row_read(db, select, key, row, failure);
}

int report_row_decode(const struct report_row *row, struct trit_report *report,
                      struct failure *failure)
{
    char error[CODEC_ERROR_BYTES];

    if (decode_report(row->report, row->report_bytes, report, error))
        return fail(failure, TRIT_DATA_LOSS, NULL, "the stored report is damaged: %s",
                    error);
    /* An older tritd stored neither. */
    report->attempt = (uint32_t)row->key->attempt;
    report->replica = (uint32_t)row->key->replica;
    return 0;
}

int report_row_insert(struct db *db, const struct report_row *row,
                      struct failure *failure)
{
    sqlite3_stmt *insert = statement(db, ST_REPORT_INSERT, failure);

    if (!insert)
        return -1;
    int bound = db_bind_i64(insert, 1, row->sequence) | bind_key(insert, 2, row->key) |
                db_bind_i64(insert, 6, row->step) |
                db_bind_i64(insert, 7, row->previous) |
                db_bind_i64(insert, 8, row->time_unix_ns) |
                db_bind_blob(insert, 9, row->digest, row->digest_bytes) |
                db_bind_blob(insert, 10, row->question, row->question_bytes) |
                db_bind_blob(insert, 11, row->report, row->report_bytes) |
                db_bind_i64(insert, 12, report_row_crc(row));

    return db_run_bound(db, insert, bound, failure);
}

/* ---- totals ---------------------------------------------------------------- */

int totals_read(struct db *db, struct totals_row *totals, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_TOTALS_SELECT, failure);
    struct totals_row row;
    int outcome = select ? db_step(db, select, failure) : -1;

    if (outcome == 1) {
        struct columns columns = {.select = select, .sound = true};

        row.layers = next_i64(&columns);
        next_key(&columns, &row.last);
        row.sequence = next_i64(&columns);
        row.schema_crc = (uint32_t)next_i64(&columns);
        outcome = check(db, &columns, totals_row_crc(&row), failure);
    } else if (outcome == 0) {
        outcome = fail(failure, TRIT_DATA_LOSS, NULL, "the store's totals are missing");
    }
    if (select)
        db_reset(select);
    if (outcome < 0)
        return fail_context(failure, "totals of the store");
    *totals = row;
    return 0;
}

int totals_put(struct db *db, const struct totals_row *totals, struct failure *failure)
{
    sqlite3_stmt *put = statement(db, ST_TOTALS_PUT, failure);

    if (!put)
        return -1;
    int bound = db_bind_i64(put, 1, totals->layers) | bind_key(put, 2, &totals->last) |
                db_bind_i64(put, 6, totals->sequence) |
                db_bind_i64(put, 7, totals->schema_crc) |
                db_bind_i64(put, 8, totals_row_crc(totals));

    return db_run_bound(db, put, bound, failure);
}
