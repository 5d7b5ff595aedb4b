/* SPDX-License-Identifier: Apache-2.0 */
#include "store/db.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/row_cache.h"

/* Codes that mean that the file was changed. All SQL is constant and valid for the
 * tables, so an error in it (ERROR), a duplicate key (CONSTRAINT) or a value that is too
 * large (TOOBIG) can only come from damage, too. */
static bool is_damage(int primary)
{
    return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB ||
           primary == SQLITE_ERROR || primary == SQLITE_CONSTRAINT ||
           primary == SQLITE_TOOBIG || primary == SQLITE_FORMAT ||
           primary == SQLITE_MISMATCH;
}

void db_note_log(struct db *db)
{
    char path[PATH_MAX];
    const char *file = sqlite3_db_filename(db->sqlite, "main");

    if (db->in_memory ||
        snprintf(path, sizeof(path), "%s-wal", file) >= (int)sizeof(path))
        return;
    held_path_note(&db->log, path, NULL);
}

/* SQLite goes on with a log that was deleted, and only a clean stop would save it. */
static int check_log(struct db *db, struct failure *failure)
{
    if (held_path_check(&db->log, "the log of reports", failure) == 0)
        return 0;
    if (sqlite3_get_autocommit(db->sqlite))
        sqlite3_wal_checkpoint_v2(db->sqlite, "main", SQLITE_CHECKPOINT_PASSIVE, NULL,
                                  NULL);
    return -1;
}

int db_check_place(struct db *db, struct failure *failure)
{
    int moved = 0;

    if (db->in_memory || !db->sqlite)
        return 0;
    sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (!moved)
        return check_log(db, failure);
    return fail(
        failure, TRIT_UNAVAILABLE, NULL,
        "%.300s was moved, replaced or deleted while the daemon runs; put it back, or "
        "restart tritd",
        sqlite3_db_filename(db->sqlite, "main"));
}

int db_fail(struct db *db, int result, struct failure *failure)
{
    int primary = result & 0xff;
    bool damage = is_damage(primary);
    enum trit_status status = damage ? TRIT_DATA_LOSS : TRIT_UNAVAILABLE;
    int cause = db->sqlite ? sqlite3_system_errno(db->sqlite) : 0;
    /* errmsg is about the connection's last call, which after a bind or a reset may have
     * succeeded. */
    const char *text = db->sqlite && sqlite3_errcode(db->sqlite) == primary
                           ? sqlite3_errmsg(db->sqlite)
                           : sqlite3_errstr(result);

    db->damaged = db->damaged || damage;
    if (primary == SQLITE_FULL || (primary == SQLITE_IOERR && cause == ENOSPC))
        return fail(failure, status, NULL, "%s; %s", text,
                    db->in_memory
                        ? "a store in memory has at most 256 MiB: use --data-dir"
                        : "free space on the disk of --data-dir");
    if ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) &&
        db_check_place(db, failure) < 0)
        return -1;
    if (primary == SQLITE_IOERR && cause != 0)
        return fail(failure, status, NULL, "%s: %s (%s)", text, strerror(cause),
                    sqlite3_errstr(result));
    return fail(failure, status, NULL, "%s", text);
}

bool damage_is_of_rows(const struct db *db, struct failure *failure)
{
    if (failure->status != TRIT_DATA_LOSS || db->damaged)
        return false;
    *failure = (struct failure){0};
    return true;
}

/* Turns off features that a manipulated file could abuse; no query here needs them. */
static int harden(sqlite3 *sqlite)
{
    int result = sqlite3_db_config(sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);

    result |= sqlite3_db_config(sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    result |= sqlite3_db_config(sqlite, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    result |= sqlite3_db_config(sqlite, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    result |= sqlite3_db_config(sqlite, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    result |= sqlite3_db_config(sqlite, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    result |= sqlite3_busy_timeout(sqlite, DB_BUSY_MS);
    sqlite3_limit(sqlite, SQLITE_LIMIT_LENGTH, DB_VALUE_BYTES_MAX);
    sqlite3_limit(sqlite, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_extended_result_codes(sqlite, 0);
    return result;
}

/* A log that is not empty is read: with an index in memory and without locks, as both would
 * need files that can be written. Without a log SQLite would create one, unless the file is
 * said to be immutable. NULL: no memory. */
static char *inspected_uri(const char *path)
{
    char *log = sqlite3_mprintf("%s-wal", path);
    sqlite3_str *uri = sqlite3_str_new(NULL);
    struct stat status;

    sqlite3_str_appendall(uri, "file:");
    for (const char *at = path; *at; at++)
        sqlite3_str_appendf(uri, strchr("?#%", *at) ? "%%%02X" : "%c", *at);
    sqlite3_str_appendall(uri, log && stat(log, &status) == 0 && status.st_size > 0
                                   ? "?mode=ro&vfs=unix-none"
                                   : "?mode=ro&immutable=1");
    sqlite3_free(log);
    return sqlite3_str_finish(uri);
}

static int open_inspected(struct db *db, const char *path, struct failure *failure)
{
    char *uri = inspected_uri(path);
    int result = SQLITE_NOMEM;

    *db = (struct db){.inspects = true};
    if (uri)
        result = sqlite3_open_v2(
            uri, &db->sqlite,
            SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI | SQLITE_OPEN_READONLY, NULL);
    sqlite3_free(uri);
    if (result == SQLITE_OK)
        result = harden(db->sqlite);
    if (result == SQLITE_OK)
        result =
            sqlite3_exec(db->sqlite, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);
    if (result == SQLITE_OK)
        return 0;
    db_fail(db, result, failure);
    db_close(db);
    return -1;
}

/* SQLite shall not delete the log and its index when the store closes, only empty the log: to
 * create them takes 32 KiB, without which no store opens. Where it is not done, as in memory,
 * nothing is lost. */
static void keep_log(struct db *db)
{
    int keep = 1;

    sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
}

int db_open(struct db *db, const char *path, enum db_access access,
            struct failure *failure)
{
    bool memory = strncmp(path, "file:", 5) == 0;
    int flags = SQLITE_OPEN_NOMUTEX | (memory ? SQLITE_OPEN_URI : 0);
    int result;

    if (access == DB_INSPECTS)
        return open_inspected(db, path, failure);
    /* A database in memory has no read-only mode. query_only keeps any reader from
     * writing. */
    flags |= access == DB_READS && !memory ? SQLITE_OPEN_READONLY
                                           : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    *db = (struct db){.in_memory = memory};
    /* SQLite shall not sum up its allocations: this takes a lock for each, and tritd does not
     * use the sums. Once SQLite is in use this has no effect. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    result = sqlite3_open_v2(path, &db->sqlite, flags, NULL);
    if (result == SQLITE_OK)
        result = harden(db->sqlite);
    if (result != SQLITE_OK) {
        db_fail(db, result, failure);
        goto close;
    }
    if (access == DB_READS && db_exec(db, "PRAGMA query_only = ON", failure))
        goto close;
    if (access == DB_WRITES)
        keep_log(db);
    return 0;

close:
    db_close(db);
    return -1;
}

void db_close(struct db *db)
{
    row_cache_destroy(db->cache);
    held_path_forget(&db->log);
    for (unsigned i = 0; i < DB_STATEMENTS_MAX; i++)
        sqlite3_finalize(db->statements[i]);
    sqlite3_close(db->sqlite);
    free(db->rooms[0]);
    free(db->rooms[1]);
    *db = (struct db){0};
}

int db_exec(struct db *db, const char *sql, struct failure *failure)
{
    int result = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);

    return result == SQLITE_OK ? 0 : db_fail(db, result, failure);
}

int db_number(struct db *db, const char *sql, int64_t *value, struct failure *failure)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL);

    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        *value = sqlite3_column_int64(statement, 0);
        result = SQLITE_DONE;
    }
    if (result != SQLITE_DONE)
        db_fail(db, result, failure);
    sqlite3_finalize(statement);
    return result == SQLITE_DONE ? 0 : -1;
}

sqlite3_stmt *db_statement(struct db *db, unsigned slot, const char *sql,
                           struct failure *failure)
{
    sqlite3_stmt **statement = &db->statements[slot];

    if (!*statement) {
        int result = sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                        statement, NULL);

        if (result != SQLITE_OK)
            db_fail(db, result, failure);
    }
    return *statement;
}

int db_bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    return sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

int db_bind_u64(sqlite3_stmt *statement, int at, uint64_t value)
{
    return value > INT64_MAX ? SQLITE_RANGE
                             : sqlite3_bind_int64(statement, at, (int64_t)value);
}

int db_bind_i64(sqlite3_stmt *statement, int at, int64_t value)
{
    return sqlite3_bind_int64(statement, at, value);
}

int db_bind_blob(sqlite3_stmt *statement, int at, const void *bytes, size_t count)
{
    return sqlite3_bind_blob64(statement, at, bytes, count, SQLITE_STATIC);
}

int db_step(struct db *db, sqlite3_stmt *statement, struct failure *failure)
{
    int result = sqlite3_step(statement);

    if (result == SQLITE_ROW)
        return 1;
    return result == SQLITE_DONE ? 0 : db_fail(db, result, failure);
}

int db_run(struct db *db, sqlite3_stmt *statement, struct failure *failure)
{
    int stepped = db_step(db, statement, failure);

    db_reset(statement);
    return stepped < 0 ? -1 : 0;
}

int db_run_bound(struct db *db, sqlite3_stmt *statement, int bound,
                 struct failure *failure)
{
    if (!bound)
        return db_run(db, statement, failure);
    db_reset(statement);
    return db_fail(db, bound, failure);
}

void db_reset(sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}
