/* SPDX-License-Identifier: Apache-2.0 */
/* The row of `pasts`: numbers as little-endian bytes in one blob, with a CRC. */
#include "store/past.h"

#include <string.h>

#include "kernels/kernels.h"
#include "store/block.h"
#include "store/row_cache.h"
#include "store/statements.h"

enum {
    VERSION = 2,
    HEAD_BYTES = 1 + 8 + 1 + HISTORY_LEVELS * 9 + HEALTH_PAST_BYTES + 1,
    STATE_BYTES_MAX = HEAD_BYTES + HISTORY_BLOCK * CELL_BYTES,
};

const char past_sql[] = "CREATE TABLE pasts ("
                        "  run TEXT NOT NULL,"
                        "  layer TEXT NOT NULL,"
                        "  replica BIGINT NOT NULL,"
                        "  attempt BIGINT NOT NULL,"
                        "  state BLOB NOT NULL,"
                        "  crc BIGINT NOT NULL,"
                        "  PRIMARY KEY (run, layer, replica, attempt));"
                        "CREATE TABLE history ("
                        "  run TEXT NOT NULL,"
                        "  layer TEXT NOT NULL,"
                        "  replica BIGINT NOT NULL,"
                        "  attempt BIGINT NOT NULL,"
                        "  level BIGINT NOT NULL,"
                        "  last BIGINT NOT NULL,"
                        "  previous BIGINT NOT NULL,"
                        "  cells BLOB NOT NULL,"
                        "  crc BIGINT NOT NULL,"
                        "  PRIMARY KEY (run, layer, replica, attempt, level, last));";

void past_row_init(struct past_row *row, const struct layer_key *key)
{
    *row = (struct past_row){
        .key = *key, .step = STEP_NONE, .written = STEP_NONE, .damaged = STEP_NONE};
    for (size_t i = 0; i < HISTORY_LEVELS; i++)
        row->closed[i] = STEP_NONE;
    health_past_init(&row->past);
}

/* ---- bytes -------------------------------------------------------------------------- */

static uint8_t *put_step(uint8_t *bytes, int64_t step)
{
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)step >> 8 * i);
    return bytes + 8;
}

static const uint8_t *get_step(const uint8_t *bytes, int64_t *step)
{
    uint64_t value = 0;

    for (size_t i = 0; i < 8; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    *step = (int64_t)value;
    return bytes + 8;
}

static size_t encode(const struct past_row *row, uint8_t bytes[STATE_BYTES_MAX])
{
    uint8_t *at = bytes;

    *at++ = VERSION;
    at = put_step(at, row->step);
    *at++ = (uint8_t)row->health;
    for (size_t i = 0; i < HISTORY_LEVELS; i++) {
        at = put_step(at, row->closed[i]);
        *at++ = row->filled[i];
    }
    health_past_encode(&row->past, at);
    at += HEALTH_PAST_BYTES;
    *at++ = row->open_count;
    cells_encode(row->open, row->open_count, at);
    return HEAD_BYTES + (size_t)row->open_count * CELL_BYTES;
}

/* -1: the bytes are not such a row. */
static int decode(struct past_row *row, const uint8_t *bytes, size_t count)
{
    const uint8_t *at = bytes + 1;

    if (count < HEAD_BYTES || bytes[0] != VERSION)
        return -1;
    at = get_step(at, &row->step);
    row->health = (enum trit_health) * at++;
    for (size_t i = 0; i < HISTORY_LEVELS; i++) {
        at = get_step(at, &row->closed[i]);
        row->filled[i] = *at++;
    }
    if (health_past_decode(at, HEALTH_PAST_BYTES, &row->past) < 0)
        return -1;
    at += HEALTH_PAST_BYTES;
    row->open_count = *at++;
    if (row->open_count > HISTORY_BLOCK ||
        count != HEAD_BYTES + (size_t)row->open_count * CELL_BYTES)
        return -1;
    cells_decode(at, row->open_count, row->open);
    return 0;
}

/* ---- rows --------------------------------------------------------------------------- */

static uint32_t state_crc(const struct layer_key *key, const uint8_t *bytes, size_t count)
{
    static const uint8_t kind[] = "past";

    return crc32c(key_crc(crc32c(0, kind, sizeof(kind)), key), bytes, count);
}

static int is_past(const void *row, const void *key)
{
    return layer_key_compare(&((const struct past_row *)row)->key, key) == 0;
}

void past_row_keep(struct db *db, const struct past_row *row)
{
    row_cache_put(db->cache, CACHED_PAST, layer_key_hash(&row->key), is_past, &row->key,
                  row, sizeof(*row));
}

/* Cells that close leave one open, so that the row is written then, as other rows name it.
 * A row that was not in the cache will not be there the next time either. */
bool past_row_is_due(const struct past_row *row)
{
    return !row->is_cached || row->open_count % PAST_LAG == 1;
}

static int read_state(struct db *db, sqlite3_stmt *select, struct past_row *row,
                      struct failure *failure)
{
    const uint8_t *bytes = sqlite3_column_type(select, 0) == SQLITE_BLOB
                               ? sqlite3_column_blob(select, 0)
                               : NULL;
    const size_t count = bytes ? (size_t)sqlite3_column_bytes(select, 0) : 0;

    if (bytes && sqlite3_column_type(select, 1) == SQLITE_INTEGER &&
        sqlite3_column_int64(select, 1) == (int64_t)state_crc(&row->key, bytes, count) &&
        decode(row, bytes, count) == 0)
        return 0;
    if (sqlite3_errcode(db->sqlite) == SQLITE_NOMEM)
        return db_fail(db, SQLITE_NOMEM, failure);
    return fail(failure, TRIT_DATA_LOSS, NULL, "a row of the store is damaged");
}

int past_row_read(struct db *db, const struct layer_key *key, struct past_row *row,
                  struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_PAST_SELECT, failure);
    char later[KEY_TEXT_BYTES];
    const struct past_row *cached =
        row_cache_find(db->cache, CACHED_PAST, layer_key_hash(key), is_past, key);

    if (!select)
        return -1;
    if (cached) {
        *row = *cached;
        row->is_cached = true;
        row->damaged = STEP_NONE;
        return 0;
    }
    row->key = *key;
    row->is_cached = false;
    row->damaged = STEP_NONE;
    int bound = bind_key(select, 1, key);
    int found = bound ? db_fail(db, bound, failure) : db_step(db, select, failure);

    if (found == 1)
        found = read_state(db, select, row, failure);
    else if (found == 0)
        found = fail(failure, TRIT_DATA_LOSS, NULL, "a row of the store is missing");
    db_reset(select);
    row->written = row->step;
    return found == 0 ? 0
                      : fail_context(failure, "history of run \"%s\", layer \"%s\"%s",
                                     key->run, key->layer, key_text(key, later));
}

int past_row_put(struct db *db, struct past_row *row, struct failure *failure)
{
    sqlite3_stmt *put = statement(db, ST_PAST_PUT, failure);
    uint8_t bytes[STATE_BYTES_MAX];
    const size_t count = encode(row, bytes);

    if (!put)
        return -1;
    int bound = bind_key(put, 1, &row->key) | db_bind_blob(put, 5, bytes, count) |
                db_bind_i64(put, 6, state_crc(&row->key, bytes, count));

    if (db_run_bound(db, put, bound, failure))
        return -1;
    row->written = row->step;
    past_row_keep(db, row);
    return 0;
}

static int write_late(void *db, const void *cached)
{
    struct past_row row = *(const struct past_row *)cached;
    struct failure ignored = {0};

    return row.written < row.step ? past_row_put(db, &row, &ignored) : 0;
}

void past_write_late(struct db *db)
{
    struct failure ignored = {0};

    if (row_cache_walk(db->cache, CACHED_PAST, write_late, db) ||
        statement_run(db, ST_COMMIT, &ignored))
        statement_run(db, ST_ROLLBACK, &ignored);
}

int past_delete(struct db *db, const struct layer_key *key, struct failure *failure)
{
    static const enum statement_id ids[] = {ST_PAST_DELETE, ST_HISTORY_DELETE};

    row_cache_drop(db->cache, CACHED_PAST, layer_key_hash(key), is_past, key);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        sqlite3_stmt *delete = statement(db, ids[i], failure);

        if (!delete || db_run_bound(db, delete, bind_key(delete, 1, key), failure))
            return -1;
    }
    return 0;
}
