/* SPDX-License-Identifier: Apache-2.0 */
/* One SQLite connection and the statements prepared on it. One thread at a
 * time. Values are bound, never written into SQL. */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    DB_STATEMENTS_MAX = 24,
    DB_BUSY_MS = 5000,
    DB_VALUE_BYTES_MAX = 4 << 20, /* of any row; the largest is a chunk of codes */
    DB_WAL_BYTES_KEPT = 64 << 20, /* the log is cut back to this after a checkpoint */
    DB_WAL_PAGES_MAX = 4000,      /* checkpoint above it: 16 MB, for fewer flushes when a
                                     large upload passes */
};

struct db {
    sqlite3 *sqlite;
    sqlite3_stmt *statements[DB_STATEMENTS_MAX];
    bool damaged; /* SQLite has found damage: it will not commit the transaction */
};

enum db_access { DB_WRITES, DB_READS };

/* `path` starting with "file:" is a URI (in-memory stores), else a file name.
 * -1: UNAVAILABLE, or DATA_LOSS where the file is damaged or no database. */
int db_open(struct db *db, const char *path, enum db_access access,
            struct failure *failure);

/* Harmless on a zeroed or half-opened one. */
void db_close(struct db *db);

/* Describes what the last call on this connection ran into; `result` is its
 * SQLite code. DATA_LOSS where the file is to blame, else UNAVAILABLE. Returns -1. */
int db_fail(struct db *db, int result, struct failure *failure);

/* Runs SQL without parameters and without interesting rows. */
int db_exec(struct db *db, const char *sql, struct failure *failure);

/* The first column of the first row; *value untouched where there is no row. */
int db_number(struct db *db, const char *sql, int64_t *value, struct failure *failure);

/* The statement of `slot`, prepared from `sql` at its first use. The caller
 * resets it (db_reset) when its rows are no longer needed. NULL on failure. */
sqlite3_stmt *db_statement(struct db *db, unsigned slot, const char *sql,
                           struct failure *failure);

/* Each gives a SQLite code; or them together and ask once. Texts and blobs are
 * borrowed until the statement is reset. */
int db_bind_text(sqlite3_stmt *statement, int at, const char *text);
int db_bind_u64(sqlite3_stmt *statement, int at, uint64_t value); /* < 2^63 */
int db_bind_i64(sqlite3_stmt *statement, int at, int64_t value);
int db_bind_blob(sqlite3_stmt *statement, int at, const void *bytes, size_t count);

/* 1: a row is there. 0: no more. -1: failure. */
int db_step(struct db *db, sqlite3_stmt *statement, struct failure *failure);

/* Steps a statement that gives no rows, and resets it. `bound` is what binding its
 * values gave. */
int db_run(struct db *db, sqlite3_stmt *statement, struct failure *failure);
int db_run_bound(struct db *db, sqlite3_stmt *statement, int bound,
                 struct failure *failure);

/* Forgets rows and bindings; the statement stays prepared. */
void db_reset(sqlite3_stmt *statement);

#endif
