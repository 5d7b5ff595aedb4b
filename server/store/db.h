/* SPDX-License-Identifier: Apache-2.0 */
/* One SQLite connection with its prepared statements. One thread at a time may use it.
 * Values are bound, never written into SQL. */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/held_path.h"
#include "base/status.h"

enum {
    DB_STATEMENTS_MAX = 96,
    DB_BUSY_MS = 5000,
    DB_VALUE_BYTES_MAX = 4 << 20, /* of a value; the largest is a chunk of codes */
    /* Of pages: the writer comes back to two of each layer. SQLite 3.40 visits all of them
     * at the end of most transactions, so more would cost time. */
    DB_CACHE_KIB = 16 << 10,
    DB_WAL_BYTES_KEPT = 64 << 20, /* a checkpoint truncates the log to this */
    DB_WAL_PAGES_MAX = 4000,      /* 16 MB; a longer log is checkpointed. Large uploads
                                     then flush less often than with the default */
};

struct row_cache;
struct health_rules;
struct slots;

/* Shards that wait for others of their layer (waiting.h); the writer's. */
struct db_waiting {
    int64_t layers, bytes;
    uint64_t bytes_max;
    uint64_t over_bytes, over_count; /* refusals since the store noted them in metrics */
};

struct db {
    sqlite3 *sqlite;
    sqlite3_stmt *statements[DB_STATEMENTS_MAX];
    struct row_cache *cache; /* the writer's; NULL: none */
    struct slots *slots;     /* borrowed; NULL: of a store in memory, or at open */
    uint8_t
        *rooms[2]; /* for chunks that are read from slots; NULL until they are needed */
    const struct health_rules *rules; /* reports are judged by; NULL: the default ones */
    int64_t kept; /* bytes of codes and scales that are kept; the writer's (kept.h) */
    struct db_waiting waiting;
    uint64_t over_attempts; /* as db_waiting.over_bytes */
    struct failure *passed; /* the writer's: the first damage that a commit did without */
    struct held_path log;   /* the writer's, of a store in a file */
    bool in_memory;         /* it has no file */
    bool inspects;          /* opened by DB_INSPECTS */
    bool damaged; /* SQLite has found damage and refuses to commit the transaction */
    /* A reader's: called after a query that met a damaged row of a layer or a run. */
    void (*mend)(void *arg);
    void *mend_arg;
    bool mends; /* such a row was met */
};

enum db_access {
    DB_WRITES,
    DB_READS,
    DB_INSPECTS, /* a file that no process uses: nothing is written, neither to it nor beside it */
};

/* `path` is a file name, or, except for DB_INSPECTS, a URI if it begins with "file:" (a
 * store in memory).
 * UNAVAILABLE: storage. DATA_LOSS: the file is damaged or not a database. */
int db_open(struct db *db, const char *path, enum db_access access,
            struct failure *failure);

/* Harmless on a zeroed struct, and after db_open failed. */
void db_close(struct db *db);

/* Fills the failure for the SQLite code `result` of the last call on this connection.
 * DATA_LOSS: the file is damaged. UNAVAILABLE: any other cause. Returns -1. */
int db_fail(struct db *db, int result, struct failure *failure);

/* Whether a failure says that rows are damaged, in a file that SQLite can read. Then clears
 * it: other rows can be used. */
bool damage_is_of_rows(const struct db *db, struct failure *failure);

/* Notes the file of the log, which exists from the first transaction on and stays. */
void db_note_log(struct db *db);

/* UNAVAILABLE: the path of the file, or of the log that was noted, leads to another file or to
 * none, so that what is written would be lost. If it is the log, what it has is written into
 * the database. Returns -1 then; otherwise 0, also of a store in memory. Not in a
 * transaction. */
int db_check_place(struct db *db, struct failure *failure);

/* Runs SQL that has no parameters, and ignores its rows. */
int db_exec(struct db *db, const char *sql, struct failure *failure);

/* Reads the first column of the first row. Without a row, *value is unchanged. */
int db_number(struct db *db, const char *sql, int64_t *value, struct failure *failure);

/* The statement of `slot`, prepared from `sql` at its first use. The caller resets it
 * (db_reset) after use. NULL on failure. */
sqlite3_stmt *db_statement(struct db *db, unsigned slot, const char *sql,
                           struct failure *failure);

/* Each returns a SQLite code. To check several at once, combine the codes with |. Texts
 * and blobs are borrowed until the statement is reset. */
int db_bind_text(sqlite3_stmt *statement, int at, const char *text);
int db_bind_u64(sqlite3_stmt *statement, int at, uint64_t value); /* < 2^63 */
int db_bind_i64(sqlite3_stmt *statement, int at, int64_t value);
int db_bind_blob(sqlite3_stmt *statement, int at, const void *bytes, size_t count);

/* 1: a row. 0: no more rows. -1: failure. */
int db_step(struct db *db, sqlite3_stmt *statement, struct failure *failure);

/* Runs a statement that gives no rows, and resets it. `bound` is the combined code of
 * its db_bind calls. */
int db_run(struct db *db, sqlite3_stmt *statement, struct failure *failure);
int db_run_bound(struct db *db, sqlite3_stmt *statement, int bound,
                 struct failure *failure);

/* Clears rows and bindings. The statement stays prepared. */
void db_reset(sqlite3_stmt *statement);

#endif
