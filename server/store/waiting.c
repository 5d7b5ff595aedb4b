/* SPDX-License-Identifier: Apache-2.0 */
#include "store/waiting.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/codes.h"
#include "store/statements.h"

static const char damaged[] = "a row of shards that wait is damaged";

/* ---- rows ------------------------------------------------------------------------- */

static int copy_name(sqlite3_stmt *select, int column, char *name)
{
    const void *text = sqlite3_column_blob(select, column);
    const size_t bytes = (size_t)sqlite3_column_bytes(select, column);

    if (sqlite3_column_type(select, column) != SQLITE_TEXT ||
        bytes > TRIT_NAME_BYTES_MAX || (bytes > 0 && !text))
        return -1;
    if (bytes > 0)
        memcpy(name, text, bytes);
    name[bytes] = '\0';
    return 0;
}

/* Reads the row that `select` is at. */
static int read_row(struct db *db, sqlite3_stmt *select, struct layer_key *key,
                    struct shard_row *row, struct failure *failure)
{
    bool sound =
        copy_name(select, 0, key->run) == 0 && copy_name(select, 1, key->layer) == 0;

    for (int column = 2; column < 12; column++)
        sound = sound && sqlite3_column_type(select, column) ==
                             (column == 10 ? SQLITE_BLOB : SQLITE_INTEGER);
    if (!sound && sqlite3_errcode(db->sqlite) == SQLITE_NOMEM)
        return db_fail(db, SQLITE_NOMEM, failure);
    key->replica = sqlite3_column_int64(select, 2);
    key->attempt = sqlite3_column_int64(select, 3);
    *row = (struct shard_row){
        .key = key,
        .step = sqlite3_column_int64(select, 4),
        .part = sqlite3_column_int64(select, 5),
        .number = sqlite3_column_int64(select, 6),
        .upload = sqlite3_column_int64(select, 7),
        .groups = sqlite3_column_int64(select, 8),
        .time_unix_ns = sqlite3_column_int64(select, 9),
        .data = sqlite3_column_blob(select, 10),
        .data_bytes = (size_t)sqlite3_column_bytes(select, 10),
    };
    if (sound && row->data &&
        sqlite3_column_int64(select, 11) == (int64_t)shard_row_crc(row))
        return 0;
    return fail(failure, TRIT_DATA_LOSS, NULL, damaged);
}

static int put_row(struct db *db, const struct shard_row *row, struct failure *failure)
{
    sqlite3_stmt *put = statement(db, ST_SHARD_PUT, failure);

    if (!put)
        return -1;
    int bound = bind_key(put, 1, row->key) | db_bind_i64(put, 5, row->step) |
                db_bind_i64(put, 6, row->part) | db_bind_i64(put, 7, row->number) |
                db_bind_i64(put, 8, row->upload) | db_bind_i64(put, 9, row->groups) |
                db_bind_i64(put, 10, row->time_unix_ns) |
                db_bind_blob(put, 11, row->data, row->data_bytes) |
                db_bind_i64(put, 12, shard_row_crc(row));

    return db_run_bound(db, put, bound, failure);
}

/* ---- lists ------------------------------------------------------------------------ */

static int read_list(struct db *db, sqlite3_stmt *select, struct waiting *waiting,
                     struct failure *failure)
{
    struct shard_row row;

    *waiting = (struct waiting){.step = 0};
    if (read_row(db, select, &waiting->key, &row, failure))
        return -1;
    waiting->step = row.step;
    waiting->time_unix_ns = row.time_unix_ns;
    if (shard_list_decode(&waiting->list, row.data, row.data_bytes) == 0 &&
        (int64_t)waiting->list.count == row.number)
        return 0;
    waiting_fini(waiting);
    return fail(failure, TRIT_DATA_LOSS, NULL, damaged);
}

void waiting_fini(struct waiting *waiting)
{
    shard_list_fini(&waiting->list);
}

/* Steps and reads one list. */
static int step_list(struct db *db, sqlite3_stmt *select, struct waiting *waiting,
                     struct failure *failure)
{
    int found = db_step(db, select, failure);

    return found == 1 && read_list(db, select, waiting, failure) ? -1 : found;
}

/* Without a list there must be no shards. */
static int prove_none(struct db *db, const struct layer_key *key, int64_t step,
                      struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_SHARD_PARTS, failure);

    if (!select)
        return -1;
    int found = bind_key(select, 1, key) | db_bind_i64(select, 5, step);

    found = found ? db_fail(db, found, failure) : db_step(db, select, failure);
    db_reset(select);
    return found == 1
               ? fail(failure, TRIT_DATA_LOSS, NULL,
                      "the list of shards that wait at step %" PRId64 " is missing", step)
               : found;
}

int waiting_find(struct db *db, const struct layer_key *key, int64_t step,
                 struct waiting *waiting, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_SHARD_LIST, failure);

    if (!select)
        return -1;
    int bound = bind_key(select, 1, key) | db_bind_i64(select, 5, step);
    int found =
        bound ? db_fail(db, bound, failure) : step_list(db, select, waiting, failure);

    db_reset(select);
    return found ? found : prove_none(db, key, step, failure);
}

int waiting_find_newest(struct db *db, const struct layer_key *key, int64_t from,
                        int64_t to, struct waiting *waiting, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_SHARD_NEWEST, failure);

    if (!select)
        return -1;
    int bound = db_bind_text(select, 1, key->run) | db_bind_text(select, 2, key->layer) |
                db_bind_i64(select, 3, key->replica) |
                db_bind_i64(select, 4, key->attempt) |
                db_bind_i64(select, 5, key->attempt ? key->attempt : INT64_MAX) |
                db_bind_i64(select, 6, from) | db_bind_i64(select, 7, to);
    int found =
        bound ? db_fail(db, bound, failure) : step_list(db, select, waiting, failure);

    db_reset(select);
    return found;
}

int waiting_walk(struct db *db, const struct layer_key *after, int64_t after_step,
                 int (*visit)(void *arg, const struct waiting *waiting,
                              struct failure *failure),
                 void *arg, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_SHARD_LISTS, failure);

    if (!select)
        return -1;
    int bound =
        db_bind_text(select, 1, after->run) | db_bind_text(select, 2, after->layer) |
        db_bind_i64(select, 3, after_step) | db_bind_i64(select, 4, after->replica) |
        db_bind_i64(select, 5, after->attempt);
    int going = bound ? db_fail(db, bound, failure) : 1;
    struct waiting waiting;

    while (going == 1 && (going = step_list(db, select, &waiting, failure)) == 1) {
        going = visit(arg, &waiting, failure);
        waiting_fini(&waiting);
    }
    db_reset(select);
    return going < 0 ? -1 : 0;
}

/* ---- shards ----------------------------------------------------------------------- */

static int read_part(struct db *db, sqlite3_stmt *select, size_t index,
                     struct waiting_part *part, struct failure *failure)
{
    struct shard_row row;
    struct layer_key key;

    if (read_row(db, select, &key, &row, failure))
        return -1;
    *part = (struct waiting_part){
        .upload = row.upload, .groups = row.groups, .bytes = row.number};
    if (row.part == (int64_t)index + 1 &&
        shard_state_decode(row.data, row.data_bytes, &part->state) == 0)
        return 0;
    return fail(failure, TRIT_DATA_LOSS, NULL, damaged);
}

int waiting_parts(struct db *db, const struct waiting *waiting,
                  int (*visit)(void *arg, size_t index, const struct waiting_part *part,
                               struct failure *failure),
                  void *arg, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_SHARD_PARTS, failure);
    size_t index = 0;

    if (!select)
        return -1;
    int bound =
        bind_key(select, 1, &waiting->key) | db_bind_i64(select, 5, waiting->step);
    int going = bound ? db_fail(db, bound, failure) : 1;

    while (going == 1 && (going = db_step(db, select, failure)) == 1) {
        struct waiting_part part;

        going = read_part(db, select, index, &part, failure)
                    ? -1
                    : visit(arg, index, &part, failure);
        index++;
        if (going == 0)
            break;
    }
    db_reset(select);
    if (going < 0)
        return -1;
    if (going == 0 && index == 0)
        return fail(failure, TRIT_DATA_LOSS, NULL, "shards that wait are missing");
    return 0;
}

int waiting_put(struct db *db, const struct waiting *waiting,
                const struct waiting_part *last, struct failure *failure)
{
    uint8_t state[SHARD_STATE_BYTES_MAX];
    uint8_t *list = malloc(shard_list_bytes_max(&waiting->list));
    struct shard_row row = {.key = &waiting->key,
                            .step = waiting->step,
                            .part = (int64_t)waiting->list.count,
                            .number = last->bytes,
                            .upload = last->upload,
                            .groups = last->groups,
                            .time_unix_ns = waiting->time_unix_ns,
                            .data = state};

    if (!list)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "no memory for a list of shards");
    row.data_bytes = shard_state_encode(&last->state, state);
    int result = put_row(db, &row, failure);

    if (result == 0) {
        row.number = row.part;
        row.part = row.upload = row.groups = 0;
        row.data = list;
        row.data_bytes = shard_list_encode(&waiting->list, list);
        result = put_row(db, &row, failure);
    }
    free(list);
    if (result == 0) {
        db->waiting.layers += waiting->list.count == 1;
        db->waiting.bytes += last->bytes;
    }
    return result;
}

static int delete_uploads(void *arg, size_t index, const struct waiting_part *part,
                          struct failure *failure)
{
    struct db *db = arg;

    (void)index;
    if (codes_delete(db, part->upload, failure) ||
        codes_delete(db, part->groups, failure))
        return -1;
    db->waiting.bytes -= part->bytes;
    return 1;
}

int waiting_delete(struct db *db, const struct waiting *waiting, struct failure *failure)
{
    if (waiting_parts(db, waiting, delete_uploads, db, failure))
        return -1;
    sqlite3_stmt *delete = statement(db, ST_SHARDS_DELETE, failure);

    if (!delete)
        return -1;
    int bound =
        bind_key(delete, 1, &waiting->key) | db_bind_i64(delete, 5, waiting->step);

    if (db_run_bound(db, delete, bound, failure))
        return -1;
    db->waiting.layers--;
    return 0;
}

int waiting_sum(struct db *db, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_SHARDS_SUM, failure);
    int found = select ? db_step(db, select, failure) : -1;

    if (found == 1) {
        db->waiting.layers = sqlite3_column_int64(select, 0);
        db->waiting.bytes = sqlite3_column_int64(select, 1);
    }
    if (select)
        db_reset(select);
    return found == 1 ? 0 : -1;
}
