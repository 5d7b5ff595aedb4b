/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "kernels/kernels.h"
#include "store/columns.h"
#include "store/row_cache.h"
#include "store/statements.h"
#include "store/walk.h"

/* An attempt on disk: the step as i64, little-endian, and a byte that says what began
 * it. */
enum { ATTEMPT_BYTES = 9 };

struct attempts_blob {
    uint8_t bytes[RUN_ATTEMPTS_MAX * ATTEMPT_BYTES];
    size_t count;
};

static void encode(const struct run_row *row, struct attempts_blob *blob)
{
    blob->count = (size_t)row->attempts * ATTEMPT_BYTES;
    for (uint32_t i = 0; i < row->attempts; i++) {
        uint8_t *at = blob->bytes + (size_t)i * ATTEMPT_BYTES;

        for (int byte = 0; byte < 8; byte++)
            at[byte] = (uint8_t)((uint64_t)row->after[i] >> 8 * byte);
        at[8] = row->start[i];
    }
}

static void decode(struct run_row *row, const uint8_t *bytes, size_t count)
{
    row->attempts = (uint32_t)(count / ATTEMPT_BYTES);
    for (uint32_t i = 0; i < row->attempts; i++) {
        const uint8_t *at = bytes + (size_t)i * ATTEMPT_BYTES;
        uint64_t after = 0;

        for (int byte = 0; byte < 8; byte++)
            after |= (uint64_t)at[byte] << 8 * byte;
        row->after[i] = (int64_t)after;
        row->start[i] = at[8];
    }
}

static int read_row(sqlite3_stmt *select, struct run_row *row, struct failure *failure)
{
    const uint8_t *bytes = sqlite3_column_type(select, 2) == SQLITE_BLOB
                               ? sqlite3_column_blob(select, 2)
                               : NULL;
    size_t count = bytes ? (size_t)sqlite3_column_bytes(select, 2) : 0;

    row->state = sqlite3_column_int64(select, 1);
    if (count > 0 && count % ATTEMPT_BYTES == 0 &&
        count <= (size_t)RUN_ATTEMPTS_MAX * ATTEMPT_BYTES &&
        sqlite3_column_type(select, 1) == SQLITE_INTEGER &&
        sqlite3_column_type(select, 3) == SQLITE_INTEGER &&
        sqlite3_column_int64(select, 3) ==
            (int64_t)run_row_crc(row->run, row->state, bytes, count)) {
        decode(row, bytes, count);
        return 0;
    }
    if (sqlite3_errcode(sqlite3_db_handle(select)) == SQLITE_NOMEM)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "out of memory");
    return fail(failure, TRIT_DATA_LOSS, NULL, "a row of the store is damaged");
}

void run_row_copy(struct run_row *to, const struct run_row *from)
{
    memcpy(to, from, offsetof(struct run_row, after));
    memcpy(to->after, from->after, from->attempts * sizeof(from->after[0]));
    memcpy(to->start, from->start, from->attempts);
}

/* ---- the writer's cache ------------------------------------------------------------- */

static int is_run(const void *row, const void *run)
{
    return strcmp(((const struct run_row *)row)->run, run) == 0;
}

static uint32_t hash_of(const char *run)
{
    return crc32c(0, run, strlen(run));
}

static bool cache_find(struct db *db, const char *run, struct run_row *row)
{
    const struct run_row *found =
        db->cache ? row_cache_find(db->cache, CACHED_RUN, hash_of(run), is_run, run)
                  : NULL;

    if (found)
        run_row_copy(row, found);
    return found != NULL;
}

static void cache_put(struct db *db, const struct run_row *row)
{
    if (db->cache)
        row_cache_put(db->cache, CACHED_RUN, hash_of(row->run), is_run, row->run, row,
                      sizeof(*row));
}

/* ---- rows --------------------------------------------------------------------------- */

/* A run without a row has no layers. */
static int prove_absent(struct db *db, const char *run, struct failure *failure)
{
    struct layer_key first = {.run = ""};
    struct layer_row next;

    layer_key_set(&first, run, "");
    first.attempt = 0;
    int found = find_layer(db, &first, &next, failure);

    if (found < 0)
        return -1;
    if (found == 0 && strcmp(next.key.run, first.run) != 0)
        return 0;
    return fail(failure, TRIT_DATA_LOSS, NULL,
                "the store is damaged: it has layers of this run, but no row of it");
}

int find_run(struct db *db, const char *run, struct run_row *row, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_RUN_SELECT, failure);
    struct layer_key key;

    if (!select)
        return -1;
    if (cache_find(db, run, row))
        return 1;
    layer_key_set(&key, run, "");
    memcpy(row->run, key.run, sizeof(row->run));
    row->attempts = 0;
    row->state = RUN_OPEN;
    int bound = db_bind_text(select, 1, row->run);
    int found = bound ? db_fail(db, bound, failure) : db_step(db, select, failure);

    if (found == 1 && read_row(select, row, failure))
        found = -1;
    db_reset(select);
    if (found == 1)
        cache_put(db, row);
    if (found == 0 && prove_absent(db, row->run, failure))
        found = -1;
    db->mends |= found < 0 && failure->status == TRIT_DATA_LOSS;
    return found < 0 ? fail_context(failure, "run \"%s\"", row->run) : found;
}

/* A run of one attempt, which began with its first report. */
static const uint8_t one_attempt[ATTEMPT_BYTES] = {0xff, 0xff, 0xff, 0xff,          0xff,
                                                   0xff, 0xff, 0xff, ATTEMPT_BY_PUT};

static bool salvage(sqlite3_stmt *select, int64_t attempts, struct run_row *row)
{
    const uint8_t *bytes = sqlite3_column_blob(select, 2);
    const size_t count = bytes ? (size_t)sqlite3_column_bytes(select, 2) : 0;
    const int64_t crc = sqlite3_column_int64(select, 3);
    const bool is_one =
        count == ATTEMPT_BYTES && memcmp(bytes, one_attempt, ATTEMPT_BYTES) == 0;

    if (count > 0 && count % ATTEMPT_BYTES == 0 &&
        count <= (size_t)RUN_ATTEMPTS_MAX * ATTEMPT_BYTES &&
        count >= (size_t)attempts * ATTEMPT_BYTES &&
        crc == (int64_t)run_row_crc(row->run, row->state, bytes, count)) {
        decode(row, bytes, count);
        return true;
    }
    if (attempts != 1)
        return false;
    decode(row, one_attempt, sizeof(one_attempt));
    return crc == (int64_t)run_row_crc(row->run, row->state, one_attempt,
                                       sizeof(one_attempt)) ||
           (is_one && sqlite3_column_int64(select, 1) == row->state);
}

int run_row_salvage(struct db *db, const char *run, int64_t state, int64_t attempts,
                    struct run_row *row, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_RUN_SELECT, failure);
    struct layer_key key;

    if (!select)
        return -1;
    layer_key_set(&key, run, "");
    memcpy(row->run, key.run, sizeof(row->run));
    row->state = state;
    int bound = db_bind_text(select, 1, run);
    int found = bound ? db_fail(db, bound, failure) : db_step(db, select, failure);

    if (found == 1)
        found = salvage(select, attempts, row);
    db_reset(select);
    return found;
}

int run_add_attempt(struct db *db, struct run_row *row, int64_t after,
                    enum attempt_start start, struct failure *failure)
{
    if (row->attempts >= RUN_ATTEMPTS_MAX) {
        db->over_attempts++;
        return fail_field(failure, TRIT_RESOURCE_EXHAUSTED, "run",
                          "\"%s\" has %d attempts, which is the most; start another run, "
                          "or fork this one",
                          row->run, RUN_ATTEMPTS_MAX);
    }
    row->after[row->attempts] = after;
    row->start[row->attempts] = (uint8_t)start;
    row->attempts++;
    return 0;
}

int run_row_put(struct db *db, const struct run_row *row, struct failure *failure)
{
    sqlite3_stmt *put = statement(db, ST_RUN_PUT, failure);
    struct attempts_blob blob;

    if (!put)
        return -1;
    encode(row, &blob);
    int bound =
        db_bind_text(put, 1, row->run) | db_bind_i64(put, 2, row->state) |
        db_bind_blob(put, 3, blob.bytes, blob.count) |
        db_bind_i64(put, 4, run_row_crc(row->run, row->state, blob.bytes, blob.count));

    if (db_run_bound(db, put, bound, failure))
        return -1;
    cache_put(db, row);
    return 0;
}

void run_row_forget(struct db *db, const char *run)
{
    row_cache_drop(db->cache, CACHED_RUN, hash_of(run), is_run, run);
}

int run_row_delete(struct db *db, const char *run, struct failure *failure)
{
    sqlite3_stmt *delete = statement(db, ST_RUN_DELETE, failure);

    run_row_forget(db, run);
    return delete ? db_run_bound(db, delete, db_bind_text(delete, 1, run), failure) : -1;
}

int64_t run_until(const struct run_row *row, int64_t attempt)
{
    int64_t until = INT64_MAX;

    for (int64_t later = attempt; later < (int64_t)row->attempts; later++)
        if (row->after[later] < until)
            until = row->after[later];
    return until;
}

uint32_t run_attempt_at(const struct run_row *row, int64_t step)
{
    uint32_t attempt = row->attempts;

    while (attempt > 1 && row->after[attempt - 1] >= step)
        attempt--;
    return attempt;
}

bool visible_range(const struct run_row *run, uint32_t attempt,
                   const struct layer_key *key, int64_t *from, int64_t *to)
{
    *from = 0;
    *to = INT64_MAX;
    if (attempt != 0)
        return key->attempt == attempt;
    if (key->attempt < 1 || key->attempt > (int64_t)run->attempts)
        return false;
    *from = run->after[key->attempt - 1] + 1;
    *to = run_until(run, key->attempt);
    return *from <= *to;
}

bool visible_steps(const struct run_row *run, uint32_t attempt,
                   const struct layer_row *layer, int64_t *from, int64_t *to)
{
    return visible_range(run, attempt, &layer->key, from, to) && layer->step_min <= *to &&
           layer->step_max >= *from;
}

int run_check_attempt(const struct run_row *run, uint32_t attempt,
                      struct failure *failure)
{
    if (attempt <= run->attempts)
        return 0;
    return fail(failure, TRIT_NOT_FOUND, "attempt",
                "no attempt %" PRIu32 " of run \"%s\"; its newest is %" PRIu32, attempt,
                run->run, (uint32_t)run->attempts);
}
