/* SPDX-License-Identifier: Apache-2.0 */
#include "store/joined.h"

#include <inttypes.h>
#include <stdlib.h>

#include "store/statements.h"

const char joined_sql[] = "DROP TABLE shards;"
                          "CREATE TABLE shards ("
                          "  run TEXT NOT NULL,"
                          "  layer TEXT NOT NULL,"
                          "  replica BIGINT NOT NULL,"
                          "  attempt BIGINT NOT NULL,"
                          "  step BIGINT NOT NULL,"
                          "  part BIGINT NOT NULL,"
                          "  number BIGINT NOT NULL,"
                          "  upload BIGINT NOT NULL,"
                          "  scales BIGINT NOT NULL,"
                          "  time_unix_ns BIGINT NOT NULL,"
                          "  data BLOB NOT NULL,"
                          "  crc BIGINT NOT NULL,"
                          "  PRIMARY KEY (run, layer, replica, attempt, step, part));"
                          "CREATE TABLE joined ("
                          "  sequence INTEGER PRIMARY KEY,"
                          "  list BLOB NOT NULL,"
                          "  crc BIGINT NOT NULL);";

static int put(struct db *db, int64_t sequence, const void *list, size_t bytes,
               struct failure *failure)
{
    sqlite3_stmt *put = statement(db, ST_JOINED_PUT, failure);

    if (!put)
        return -1;
    return db_run_bound(db, put,
                        db_bind_i64(put, 1, sequence) |
                            db_bind_blob(put, 2, list, bytes) |
                            db_bind_i64(put, 3, joined_row_crc(sequence, list, bytes)),
                        failure);
}

int joined_put(struct db *db, int64_t sequence, const struct shard_list *list,
               struct failure *failure)
{
    uint8_t *bytes = malloc(shard_list_bytes_max(list));

    if (!bytes)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "no memory for a list of shards");
    int result = put(db, sequence, bytes, shard_list_encode(list, bytes), failure);

    free(bytes);
    return result;
}

/* 1: `select` is at an intact row. */
static int find(struct db *db, int64_t sequence, sqlite3_stmt **select,
                struct failure *failure)
{
    *select = statement(db, ST_JOINED_SELECT, failure);
    if (!*select)
        return -1;
    db_bind_i64(*select, 1, sequence);
    int found = db_step(db, *select, failure);

    if (found != 1)
        return found;
    const void *list = sqlite3_column_blob(*select, 0);
    const size_t bytes = (size_t)sqlite3_column_bytes(*select, 0);

    if (list && sqlite3_column_type(*select, 1) == SQLITE_INTEGER &&
        sqlite3_column_int64(*select, 1) ==
            (int64_t)joined_row_crc(sequence, list, bytes))
        return 1;
    return fail(failure, TRIT_DATA_LOSS, NULL, "the list of its shards is damaged");
}

int joined_find(struct db *db, int64_t sequence, struct shard_list *list,
                struct failure *failure)
{
    sqlite3_stmt *select = NULL;
    int found = find(db, sequence, &select, failure);

    if (found == 1 && shard_list_decode(list, sqlite3_column_blob(select, 0),
                                        (size_t)sqlite3_column_bytes(select, 0)) < 0)
        found = fail(failure, TRIT_DATA_LOSS, NULL, "the list of its shards is damaged");
    if (select)
        db_reset(select);
    return found;
}

int joined_copy(struct db *db, int64_t from, int64_t to, struct failure *failure)
{
    sqlite3_stmt *select = NULL;
    int found = find(db, from, &select, failure);

    if (found == 1)
        found = put(db, to, sqlite3_column_blob(select, 0),
                    (size_t)sqlite3_column_bytes(select, 0), failure);
    if (select)
        db_reset(select);
    return found < 0 ? -1 : 0;
}

int joined_delete(struct db *db, int64_t sequence, struct failure *failure)
{
    sqlite3_stmt *delete = statement(db, ST_JOINED_DELETE, failure);

    return delete ? db_run_bound(db, delete, db_bind_i64(delete, 1, sequence), failure)
                  : -1;
}
