#include "store/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/db.h"

/* Each step leads from user_version i to i + 1. Append only: files out there
 * remember how many they have seen. Plain SQL that PostgreSQL takes too, with
 * BYTEA for BLOB.
 *
 * reports: every report, whole, as LayerReport bytes; what is searched by
 *   stands beside it.
 * layers: one row per (run, layer): what lists need without reading reports,
 *   and the upload that holds the codes of step_max (NULL: none are kept).
 * codes: 2-bit codes, cut into chunks of at most CODES_CHUNK_BYTES. An upload
 *   that no layer refers to is on its way in, or left over from a crash. */
static const char *const steps[] = {
    "CREATE TABLE reports ("
    "  run TEXT NOT NULL,"
    "  layer TEXT NOT NULL,"
    "  step BIGINT NOT NULL,"
    "  time_unix_ns BIGINT NOT NULL,"
    "  digest BLOB NOT NULL,"
    "  report BLOB NOT NULL,"
    "  PRIMARY KEY (run, layer, step));"
    "CREATE TABLE layers ("
    "  run TEXT NOT NULL,"
    "  layer TEXT NOT NULL,"
    "  step_min BIGINT NOT NULL,"
    "  step_max BIGINT NOT NULL,"
    "  reports BIGINT NOT NULL,"
    "  time_unix_ns BIGINT NOT NULL," /* of the newest report */
    "  upload BIGINT,"
    "  shape TEXT NOT NULL,"        /* "4096,11008": with group_size and partial, what */
    "  group_size BIGINT NOT NULL," /* makes two steps' codes comparable */
    "  partial BIGINT NOT NULL,"
    "  PRIMARY KEY (run, layer));"
    "CREATE TABLE codes ("
    "  upload BIGINT NOT NULL,"
    "  chunk BIGINT NOT NULL,"
    "  data BLOB NOT NULL,"
    "  PRIMARY KEY (upload, chunk));",
};

int schema_version(void)
{
    return (int)(sizeof(steps) / sizeof(steps[0]));
}

/* SQLite's answer to `sql` must be the text `wanted`. */
static int expect(struct db *db, const char *sql, const char *wanted,
                  enum trit_status status, struct failure *failure)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL);
    int outcome = 0;

    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        const unsigned char *got = sqlite3_column_text(statement, 0);

        if (got == NULL || strcmp((const char *)got, wanted) != 0)
            outcome = fail(failure, status, NULL, "%s says: %s", sql,
                           got ? (const char *)got : "nothing");
    } else {
        outcome = db_fail(db, result, failure);
    }
    sqlite3_finalize(statement);
    return outcome;
}

static int settings(struct db *db, bool in_memory, struct failure *failure)
{
    char sql[96];

    if (in_memory) {
        snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %d",
                 STORE_MEMORY_BYTES_MAX / 4096);
        return db_exec(db, sql, failure);
    }
    if (expect(db, "PRAGMA journal_mode = WAL", "wal", TRIT_UNAVAILABLE, failure) ||
        db_exec(db, "PRAGMA synchronous = FULL", failure) ||
        /* Debian's SQLite overwrites what it deletes; for codes that would
         * double what every step writes. */
        db_exec(db, "PRAGMA secure_delete = OFF", failure) ||
        db_exec(db, "PRAGMA cell_size_check = ON", failure))
        return -1;
    snprintf(sql, sizeof(sql),
             "PRAGMA journal_size_limit = %d; PRAGMA wal_autocheckpoint = %d",
             DB_WAL_BYTES_KEPT, DB_WAL_PAGES_MAX);
    return db_exec(db, sql, failure);
}

/* Refuses files that are not ours before anything is written to them. */
static int identify(struct db *db, int64_t *version, struct failure *failure)
{
    int64_t application = 0, tables = 0;

    *version = 0;
    if (db_number(db, "PRAGMA application_id", &application, failure) ||
        db_number(db, "PRAGMA user_version", version, failure) ||
        db_number(db, "SELECT COUNT(*) FROM sqlite_master", &tables, failure))
        return -1;
    if (application != STORE_APPLICATION_ID && (application != 0 || tables != 0))
        return fail(failure, TRIT_FAILED_PRECONDITION, NULL,
                    "another program's database (application_id %" PRId64 ")",
                    application);
    if (*version > schema_version())
        return fail(failure, TRIT_FAILED_PRECONDITION, NULL,
                    "written by a newer tritd (schema %" PRId64
                    ", this one knows up to %d)",
                    *version, schema_version());
    return 0;
}

static int migrate_step(struct db *db, int64_t from, struct failure *failure)
{
    char sql[128];

    snprintf(sql, sizeof(sql),
             "PRAGMA application_id = %d; PRAGMA user_version = %" PRId64 "; COMMIT",
             STORE_APPLICATION_ID, from + 1);
    if (db_exec(db, "BEGIN IMMEDIATE", failure))
        return -1;
    if (db_exec(db, steps[from], failure) || db_exec(db, sql, failure)) {
        db_exec(db, "ROLLBACK", NULL);
        return fail_context(failure, "migration %" PRId64, from + 1);
    }
    return 0;
}

/* The reports' own tables; the codes, which may be gigabytes, are checked when
 * they are read. */
static int check(struct db *db, struct failure *failure)
{
    if (expect(db, "PRAGMA quick_check('reports')", "ok", TRIT_DATA_LOSS, failure) ||
        expect(db, "PRAGMA quick_check('layers')", "ok", TRIT_DATA_LOSS, failure))
        return -1;
    return 0;
}

static int remove_leftovers(struct db *db, struct failure *failure)
{
    return db_exec(db,
                   "DELETE FROM codes WHERE upload NOT IN"
                   " (SELECT upload FROM layers WHERE upload IS NOT NULL)",
                   failure);
}

int schema_prepare(struct db *db, bool in_memory, struct failure *failure)
{
    int64_t version;

    if (identify(db, &version, failure) || settings(db, in_memory, failure))
        return -1;
    for (; version < schema_version(); version++)
        if (migrate_step(db, version, failure))
            return -1;
    if (check(db, failure) || remove_leftovers(db, failure))
        return -1;
    return 0;
}
