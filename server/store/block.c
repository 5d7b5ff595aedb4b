/* SPDX-License-Identifier: Apache-2.0 */
#include "store/block.h"

#include <string.h>

#include "kernels/kernels.h"
#include "store/statements.h"

static uint32_t numbers_crc(uint32_t crc, const int64_t *numbers, size_t count)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < count; i++) {
        for (size_t byte = 0; byte < 8; byte++)
            bytes[byte] = (uint8_t)((uint64_t)numbers[i] >> 8 * byte);
        crc = crc32c(crc, bytes, sizeof(bytes));
    }
    return crc;
}

uint32_t key_crc(uint32_t crc, const struct layer_key *key)
{
    const int64_t numbers[] = {(int64_t)strlen(key->run), (int64_t)strlen(key->layer),
                               key->replica, key->attempt};

    crc = numbers_crc(crc, numbers, sizeof(numbers) / sizeof(numbers[0]));
    crc = crc32c(crc, key->run, strlen(key->run));
    return crc32c(crc, key->layer, strlen(key->layer));
}

static uint32_t block_crc(const struct layer_key *key, unsigned level, int64_t last,
                          int64_t previous, const uint8_t *bytes, size_t count)
{
    static const uint8_t kind[] = "history";
    const int64_t numbers[] = {level, last, previous, (int64_t)count};
    uint32_t crc = key_crc(crc32c(0, kind, sizeof(kind)), key);

    crc = numbers_crc(crc, numbers, sizeof(numbers) / sizeof(numbers[0]));
    return crc32c(crc, bytes, count);
}

/* ---- reading ------------------------------------------------------------------------ */

sqlite3_stmt *blocks_from(struct db *db, const struct layer_key *key, unsigned level,
                          int64_t from, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_HISTORY_FROM, failure);

    if (!select)
        return NULL;
    int bound = bind_key(select, 1, key) | db_bind_i64(select, 5, level) |
                db_bind_i64(select, 6, from);

    if (!bound)
        return select;
    db_fail(db, bound, failure);
    db_reset(select);
    return NULL;
}

static bool is_sound(const struct block *block)
{
    for (size_t i = 1; i < block->count; i++)
        if (block->cells[i].first <= block->cells[i - 1].last)
            return false;
    return block->count > 0 &&
           (int64_t)block->cells[block->count - 1].last == block->last;
}

static bool read_block(sqlite3_stmt *select, const struct layer_key *key, unsigned level,
                       struct block *block)
{
    const uint8_t *bytes = sqlite3_column_type(select, 2) == SQLITE_BLOB
                               ? sqlite3_column_blob(select, 2)
                               : NULL;
    const size_t count = bytes ? (size_t)sqlite3_column_bytes(select, 2) : 0;

    block->last = sqlite3_column_int64(select, 0);
    block->previous = sqlite3_column_int64(select, 1);
    block->count = count / CELL_BYTES;
    if (!bytes || count % CELL_BYTES != 0 || block->count > HISTORY_BLOCK_MAX ||
        sqlite3_column_type(select, 0) != SQLITE_INTEGER ||
        sqlite3_column_type(select, 1) != SQLITE_INTEGER ||
        sqlite3_column_type(select, 3) != SQLITE_INTEGER ||
        sqlite3_column_int64(select, 3) !=
            (int64_t)block_crc(key, level, block->last, block->previous, bytes, count))
        return false;
    cells_decode(bytes, block->count, block->cells);
    return is_sound(block);
}

int block_next(struct db *db, sqlite3_stmt *select, const struct layer_key *key,
               unsigned level, struct block *block, struct failure *failure)
{
    int found = db_step(db, select, failure);

    if (found != 1 || read_block(select, key, level, block))
        return found;
    if (sqlite3_errcode(db->sqlite) == SQLITE_NOMEM)
        return db_fail(db, SQLITE_NOMEM, failure);
    return fail(failure, TRIT_DATA_LOSS, NULL, "a row of the history is damaged");
}

int block_find(struct db *db, const struct layer_key *key, unsigned level, int64_t from,
               struct block *block, struct failure *failure)
{
    sqlite3_stmt *select = blocks_from(db, key, level, from, failure);
    int found = select ? block_next(db, select, key, level, block, failure) : -1;

    if (select)
        db_reset(select);
    if (found == 1 && block->previous < from)
        return 0;
    return found < 0
               ? -1
               : fail(failure, TRIT_DATA_LOSS, NULL, "a row of the history is missing");
}

/* ---- writing ------------------------------------------------------------------------ */

static int block_write(struct db *db, enum statement_id id, const struct layer_key *key,
                       unsigned level, int64_t old, const struct block *block,
                       struct failure *failure)
{
    uint8_t bytes[HISTORY_BLOCK_MAX * CELL_BYTES];
    const size_t count = block->count * CELL_BYTES;
    sqlite3_stmt *write = statement(db, id, failure);

    if (!write)
        return -1;
    cells_encode(block->cells, block->count, bytes);
    int bound =
        bind_key(write, 1, key) | db_bind_i64(write, 5, level) |
        db_bind_i64(write, 6, block->last) | db_bind_i64(write, 7, block->previous) |
        db_bind_blob(write, 8, bytes, count) |
        db_bind_i64(write, 9,
                    block_crc(key, level, block->last, block->previous, bytes, count));

    if (id == ST_HISTORY_UPDATE)
        bound |= db_bind_i64(write, 10, old);
    return db_run_bound(db, write, bound, failure);
}

int block_insert(struct db *db, const struct layer_key *key, unsigned level,
                 const struct block *block, struct failure *failure)
{
    return block_write(db, ST_HISTORY_INSERT, key, level, 0, block, failure);
}

int block_update(struct db *db, const struct layer_key *key, unsigned level, int64_t old,
                 const struct block *block, struct failure *failure)
{
    if (block_write(db, ST_HISTORY_UPDATE, key, level, old, block, failure))
        return -1;
    /* The row exists: it was read before. */
    return sqlite3_changes(db->sqlite) == 1 ? 0 : db_fail(db, SQLITE_CORRUPT, failure);
}
