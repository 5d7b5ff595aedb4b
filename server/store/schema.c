/* SPDX-License-Identifier: Apache-2.0 */
#include "store/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kernels/kernels.h"
#include "store/codes.h"
#include "store/seal.h"
#include "store/walk.h"

/* Each step leads from user_version i to i + 1. Append only: files out there
 * remember how many they have seen. Plain SQL that PostgreSQL takes too, with
 * BYTEA for BLOB; `fill` completes the rows that are there already.
 *
 * reports: every report, whole, as LayerReport bytes; what is searched by
 *   stands beside it; `question` is what it answers (question.h; NULL: filed by a
 *   daemon that did not keep it), `previous` the step before it or -1.
 * layers: one row per (run, layer): what lists need without reading reports,
 *   the upload that holds the codes of step_max (0: none are kept), and the layer
 *   before it in order ('': none).
 * codes: 2-bit codes, cut into chunks of at most CODES_CHUNK_BYTES. An upload
 *   that no layer refers to is on its way in, or left over from a crash.
 * totals: one row: how many layers there are, the last of them in order, and a CRC
 *   of the definitions of these tables.
 * crc: row.h. The last column of each. */
static const struct step {
    const char *sql;
    int (*fill)(struct db *db, struct failure *failure);
} steps[] = {
    {"CREATE TABLE reports ("
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
     NULL},
    {"ALTER TABLE reports ADD COLUMN previous BIGINT;"
     "ALTER TABLE reports ADD COLUMN question BLOB;"
     "ALTER TABLE reports ADD COLUMN crc BIGINT;"
     "ALTER TABLE layers ADD COLUMN previous_run TEXT;"
     "ALTER TABLE layers ADD COLUMN previous_layer TEXT;"
     "ALTER TABLE layers ADD COLUMN crc BIGINT;"
     "ALTER TABLE codes ADD COLUMN crc BIGINT;"
     "CREATE TABLE totals ("
     "  layers BIGINT NOT NULL,"
     "  last_run TEXT NOT NULL,"
     "  last_layer TEXT NOT NULL,"
     "  schema_crc BIGINT NOT NULL,"
     "  crc BIGINT NOT NULL);",
     seal_rows},
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
         * double what every step writes. FAST overwrites within pages that are
         * written anyway, so that no old version of a row stays beside the row. */
        db_exec(db, "PRAGMA secure_delete = FAST", failure) ||
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
    int64_t application = 0, tables = 0, vacuum = 0;

    *version = 0;
    if (db_number(db, "PRAGMA application_id", &application, failure) ||
        db_number(db, "PRAGMA user_version", version, failure) ||
        db_number(db, "SELECT COUNT(*) FROM sqlite_master", &tables, failure))
        return -1;
    /* The directory has opened the file for writing, so this is the header's word. */
    if (db_number(db, "PRAGMA auto_vacuum", &vacuum, failure))
        return -1;
    if (sqlite3_db_readonly(db->sqlite, "main") == 1 || vacuum != 0)
        return fail(failure, TRIT_DATA_LOSS, NULL,
                    "its header says that it is %s, which no store is",
                    vacuum ? "an auto_vacuum database" : "read-only");
    if (application != STORE_APPLICATION_ID && (application != 0 || tables != 0))
        return fail(failure, TRIT_FAILED_PRECONDITION, NULL,
                    "another program's database (application_id %" PRId64 ")",
                    application);
    if (*version < 0)
        return fail(failure, TRIT_DATA_LOSS, NULL, "its schema version reads %" PRId64,
                    *version);
    if (*version > schema_version())
        return fail(failure, TRIT_FAILED_PRECONDITION, NULL,
                    "written by a newer tritd (schema %" PRId64
                    ", this one knows up to %d)",
                    *version, schema_version());
    return 0;
}

/* ---- the tables' definitions -------------------------------------------------- */

enum { SEALED_VERSION = 2 }; /* from which on there are totals */

/* Text that damage has changed may still be SQL, of another meaning. */
static int definitions_crc(struct db *db, uint32_t *crc, struct failure *failure)
{
    sqlite3_stmt *select = NULL;
    int result = sqlite3_prepare_v2(
        db->sqlite,
        "SELECT name || ':' || sql FROM sqlite_master WHERE type = 'table' AND name IN"
        " ('reports', 'layers', 'codes', 'totals') ORDER BY name",
        -1, &select, NULL);

    *crc = 0;
    while (result == SQLITE_OK || result == SQLITE_ROW) {
        result = sqlite3_step(select);
        if (result == SQLITE_ROW) {
            const void *text = sqlite3_column_text(select, 0);

            if (!text) {
                result = SQLITE_NOMEM;
                break;
            }
            *crc = crc32c(*crc, text, (size_t)sqlite3_column_bytes(select, 0) + 1);
        }
    }
    if (result != SQLITE_DONE)
        db_fail(db, result, failure);
    sqlite3_finalize(select);
    return result == SQLITE_DONE ? 0 : -1;
}

static int seal_definitions(struct db *db, struct failure *failure)
{
    struct totals_row totals;

    return totals_read(db, &totals, failure) ||
                   definitions_crc(db, &totals.schema_crc, failure) ||
                   totals_put(db, &totals, failure)
               ? -1
               : 0;
}

/* Damage to rows does not keep a store from opening; other failures do. */
static int tolerate(const struct failure *reason, struct failure *damage,
                    struct failure *failure)
{
    if (reason->status != TRIT_DATA_LOSS)
        return fail(failure, reason->status, NULL, "%s", reason->message);
    *damage = *reason;
    return 0;
}

/* Where the totals are damaged nobody knows, and nothing else is. */
static int check_definitions(struct db *db, struct failure *damage,
                             struct failure *failure)
{
    struct failure reason = {0};
    struct totals_row totals;
    uint32_t crc;

    if (totals_read(db, &totals, &reason))
        return tolerate(&reason, damage, failure);
    if (definitions_crc(db, &crc, failure))
        return -1;
    if (crc != totals.schema_crc)
        return fail(failure, TRIT_DATA_LOSS, NULL,
                    "the definitions of its tables are not those that were written");
    return 0;
}

/* ---- migrations --------------------------------------------------------------- */

static int migrate_step(struct db *db, int64_t from, struct failure *failure)
{
    const struct step *step = &steps[from];
    char sql[128];

    snprintf(sql, sizeof(sql),
             "PRAGMA application_id = %d; PRAGMA user_version = %" PRId64 "; COMMIT",
             STORE_APPLICATION_ID, from + 1);
    if (db_exec(db, "BEGIN IMMEDIATE", failure))
        return -1;
    if (db_exec(db, step->sql, failure) || (step->fill && step->fill(db, failure)) ||
        (from + 1 >= SEALED_VERSION && seal_definitions(db, failure)) ||
        db_exec(db, sql, failure)) {
        db_exec(db, "ROLLBACK", NULL);
        return fail_context(failure, "migration %" PRId64, from + 1);
    }
    return 0;
}

int schema_migrate(struct db *db, int64_t version, int64_t to, struct failure *failure)
{
    for (; version < to; version++)
        if (migrate_step(db, version, failure))
            return -1;
    return 0;
}

/* ---- checks at open ------------------------------------------------------------ */

static int see_layer(void *arg, const struct layer_row *row, struct failure *failure)
{
    (void)row;
    (void)failure;
    ++*(int64_t *)arg;
    return 1;
}

/* That each layer's row is there, and as it was written. */
static int check_layers(struct db *db, struct failure *failure)
{
    int64_t seen = 0;
    const struct layer_walk walk = {.visit = see_layer, .arg = &seen};
    struct totals_row totals;

    if (walk_layers(db, &walk, failure) < 0 || totals_read(db, &totals, failure))
        return -1;
    if (seen != totals.layers)
        return fail(failure, TRIT_DATA_LOSS, NULL,
                    "the store is damaged: it has %" PRId64 " layers of %" PRId64, seen,
                    totals.layers);
    return 0;
}

/* The reports' own tables, as far as SQLite can tell; the rows are checked as they
 * are read, and so are the codes, which may be gigabytes. */
static int check(struct db *db, struct failure *failure)
{
    if (expect(db, "PRAGMA quick_check('reports')", "ok", TRIT_DATA_LOSS, failure) ||
        expect(db, "PRAGMA quick_check('layers')", "ok", TRIT_DATA_LOSS, failure))
        return -1;
    return 0;
}

/* Damage is a reason to leave things as they are: a leftover may be no such thing. */
static int remove_orphans(struct db *db, struct failure *damage, struct failure *failure)
{
    struct failure reason = {0};

    if (damage->status != TRIT_OK)
        return 0;
    if (check_layers(db, &reason) == 0 && codes_remove_orphans(db, &reason) == 0)
        return 0;
    return tolerate(&reason, damage, failure);
}

int schema_prepare(struct db *db, bool in_memory, struct failure *damage,
                   struct failure *failure)
{
    int64_t version;

    if (identify(db, &version, failure) || settings(db, in_memory, failure) ||
        schema_migrate(db, version, schema_version(), failure) ||
        check_definitions(db, damage, failure) || check(db, failure) ||
        remove_orphans(db, damage, failure))
        return -1;
    return 0;
}
