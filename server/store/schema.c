/* SPDX-License-Identifier: Apache-2.0 */
#include "store/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kernels/kernels.h"
#include "store/codes.h"
#include "store/joined.h"
#include "store/mending.h"
#include "store/past.h"
#include "store/rebuild.h"
#include "store/rekey.h"
#include "store/run.h"
#include "store/scan.h"
#include "store/seal.h"
#include "store/walk.h"

/* Step i leads from user_version i to i + 1. Only append: existing files record how many
 * steps they have had. The SQL is plain; PostgreSQL accepts it with BYTEA for BLOB.
 * `fill` fills the new columns of rows that exist already.
 *
 * reports: each report as LayerReport bytes, with the columns that are searched.
 *   `sequence` counts up in order of filing. `question` is what it answers (question.h);
 *   NULL: an older tritd did not store it. `previous` is the step before it, or -1.
 * layers: one row per (run, layer, replica, attempt). It has what lists need without
 *   reading reports, the upload with the codes of step_max (0: none are kept), and the
 *   row before it in the order of keys ('': none).
 * runs: one row per run: its attempts (run.h).
 * codes: 2-bit codes and f32 scales in chunks of at most CODES_CHUNK_BYTES. `slot`: of the
 *   file of slots, which has the chunk; NULL: the row has it (place.h). An upload to which
 *   nothing refers is still arriving, or was left by a crash.
 * kept: which uploads hold the codes and scales of a report (kept.h).
 * shards: parts of a layer whose report is not complete yet (waiting.h).
 * joined: of which shards a report was made (joined.h).
 * pasts, history: what the health of layers and their history are read from (past.h).
 * totals: one row: the number of rows of layers, the last of them in order, a bound of the
 *   sequences that were given away, and a CRC of the definitions of these tables.
 * crc: the last column of each table; see row.h. */
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
    {rekey_sql, rekey_rows},
    {past_sql, past_fill},
    {joined_sql, NULL},
    {"ALTER TABLE codes ADD COLUMN slot BIGINT", NULL},
    {"", past_fill}, /* cells that count the reports of their means */
};

int schema_version(void)
{
    return (int)(sizeof(steps) / sizeof(steps[0]));
}

/* Fails unless SQLite answers `sql` with the text `wanted`. */
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

        if (!got || strcmp((const char *)got, wanted) != 0)
            outcome = fail(failure, status, NULL, "%s says: %s", sql,
                           got ? (const char *)got : "nothing");
    } else {
        outcome = db_fail(db, result, failure);
    }
    sqlite3_finalize(statement);
    return outcome;
}

static int settings(struct db *db, bool in_memory, bool fresh, struct failure *failure)
{
    char sql[128];

    /* Has an effect on a new file only, but would write to an old one, too: then a store
     * would not open on a full disk. */
    if (fresh && db_exec(db, "PRAGMA auto_vacuum = INCREMENTAL", failure))
        return -1;
    if (in_memory) {
        snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %d",
                 STORE_MEMORY_BYTES_MAX / 4096);
        return db_exec(db, sql, failure);
    }
    if (expect(db, "PRAGMA journal_mode = WAL", "wal", TRIT_UNAVAILABLE, failure) ||
        db_exec(db, "PRAGMA synchronous = FULL", failure) ||
        /* By default Debian's SQLite overwrites all that it deletes, which for codes
         * would double the bytes written per step. FAST overwrites only in pages that
         * are written anyway. That is enough that no old version of a row stays. */
        db_exec(db, "PRAGMA secure_delete = FAST", failure) ||
        db_exec(db, "PRAGMA cell_size_check = ON", failure))
        return -1;
    snprintf(sql, sizeof(sql),
             "PRAGMA journal_size_limit = %d; PRAGMA wal_autocheckpoint = %d;"
             " PRAGMA cache_size = -%d",
             DB_WAL_BYTES_KEPT, DB_WAL_PAGES_MAX, DB_CACHE_KIB);
    return db_exec(db, sql, failure);
}

/* Refuses files of other programs before anything is written to them. */
static int identify(struct db *db, int64_t *version, struct failure *failure)
{
    int64_t application = 0, tables = 0, vacuum = 0;

    *version = 0;
    if (db_number(db, "PRAGMA application_id", &application, failure) ||
        db_number(db, "PRAGMA user_version", version, failure) ||
        db_number(db, "SELECT COUNT(*) FROM sqlite_master", &tables, failure))
        return -1;
    /* directory_open could open the file for writing. So if SQLite says that it is
     * read-only, the header says so. */
    if (db_number(db, "PRAGMA auto_vacuum", &vacuum, failure))
        return -1;
    if ((!db->inspects && sqlite3_db_readonly(db->sqlite, "main") == 1) || vacuum == 1)
        return fail(failure, TRIT_DATA_LOSS, NULL,
                    "its header says that it is %s, but a store never is",
                    vacuum ? "a full auto_vacuum database" : "read-only");
    if (application != STORE_APPLICATION_ID && (application != 0 || tables != 0))
        return fail(failure, TRIT_FAILED_PRECONDITION, NULL,
                    "it belongs to another program (application_id %" PRId64 ")",
                    application);
    if (*version < 0)
        return fail(failure, TRIT_DATA_LOSS, NULL, "its schema version is %" PRId64,
                    *version);
    if (*version > schema_version())
        return fail(failure, TRIT_FAILED_PRECONDITION, NULL,
                    "it was written by a newer tritd (schema %" PRId64
                    "; this one supports up to %d)",
                    *version, schema_version());
    return 0;
}

/* ---- the tables' definitions -------------------------------------------------- */

enum { SEALED_VERSION = 3 }; /* the first version whose totals can be read here */

/* SQLite lays the pages of a file out by a mode in its header, so that is sealed, too. */
static int add_vacuum(struct db *db, uint32_t *crc, struct failure *failure)
{
    int64_t mode = 0;

    if (db_number(db, "PRAGMA auto_vacuum", &mode, failure))
        return -1;
    if (mode != 0)
        *crc = crc32c(*crc, "incremental", sizeof("incremental"));
    return 0;
}

/* A damaged definition may still be valid SQL, with another meaning. */
static int definitions_crc(struct db *db, uint32_t *crc, struct failure *failure)
{
    sqlite3_stmt *select = NULL;
    int result = sqlite3_prepare_v2(
        db->sqlite,
        "SELECT name || ':' || sql FROM sqlite_master WHERE sql IS NOT NULL"
        " ORDER BY name",
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
    return result == SQLITE_DONE ? add_vacuum(db, crc, failure) : -1;
}

static int seal_definitions(struct db *db, struct failure *failure)
{
    struct failure reason = {0};
    struct totals_row totals;

    /* Damaged totals stay as they are: a new CRC would hide it. */
    if (totals_read(db, &totals, &reason))
        return reason.status == TRIT_DATA_LOSS ? 0 : fail_as(failure, &reason);
    return definitions_crc(db, &totals.schema_crc, failure) ||
                   totals_put(db, &totals, failure)
               ? -1
               : 0;
}

/* A store opens in spite of damaged rows, but not after any other failure. */
static int tolerate(const struct failure *reason, struct failure *damage,
                    struct failure *failure)
{
    if (reason->status != TRIT_DATA_LOSS)
        return fail_as(failure, reason);
    *damage = *reason;
    return 0;
}

/* Compares the definitions with the CRC in the totals. If the totals are damaged, this
 * cannot be done, and the store opens without it. */
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
                    "the definitions of its tables were changed");
    return 0;
}

int schema_lost(struct failure *failure)
{
    return fail(failure, TRIT_DATA_LOSS, NULL,
                "it is missing or empty, but a store was kept here; restore it together "
                "with its log and codes.slots, or remove tritd.lock to begin a new one");
}

static int check_kept(int64_t version, enum schema_place place, struct failure *failure)
{
    return version == 0 && place == SCHEMA_KEPT ? schema_lost(failure) : 0;
}

int schema_check(struct db *db, enum schema_place place, struct failure *failure)
{
    struct failure damage = {0};
    int64_t version;

    if (identify(db, &version, failure) || check_kept(version, place, failure))
        return -1;
    if (version != schema_version())
        return fail(failure, TRIT_FAILED_PRECONDITION, NULL,
                    "it has schema %" PRId64 ", this tritd has %d; start tritd once to "
                    "bring it up to date",
                    version, schema_version());
    if (check_definitions(db, &damage, failure))
        return -1;
    return damage.status == TRIT_OK ? 0 : fail_as(failure, &damage);
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

/* The layers that were seen, and the run of the last one. */
struct seen {
    struct db *db;
    int64_t layers;
    struct run_row run;
};

static int see_layer(void *arg, const struct layer_row *row, struct failure *failure)
{
    struct seen *seen = arg;

    seen->layers++;
    if (strcmp(seen->run.run, row->key.run) == 0)
        return 1;
    return find_run(seen->db, row->key.run, &seen->run, failure) < 0 ? -1 : 1;
}

/* Checks that no row of a layer or run is missing or damaged. */
static int check_layers(struct db *db, struct failure *failure)
{
    struct seen seen = {.db = db};
    const struct layer_walk walk = {.visit = see_layer, .arg = &seen};
    struct totals_row totals;

    if (walk_layers(db, &walk, failure) < 0 || totals_read(db, &totals, failure))
        return -1;
    if (seen.layers != totals.layers)
        return fail(failure, TRIT_DATA_LOSS, NULL,
                    "the store is damaged: it has %" PRId64 " of %" PRId64 " layers",
                    seen.layers, totals.layers);
    return 0;
}

/* Lets SQLite check the structure of the tables of reports. Rows are checked when they
 * are read; so are codes, which may be gigabytes. */
static int check(struct db *db, struct failure *failure)
{
    if (expect(db, "PRAGMA quick_check('reports')", "ok", TRIT_DATA_LOSS, failure) ||
        expect(db, "PRAGMA quick_check('layers')", "ok", TRIT_DATA_LOSS, failure))
        return -1;
    return 0;
}

/* Makes the totals again, if their checksum then is that of the damaged ones. */
static int mend_totals(struct db *db, struct failure *failure)
{
    const struct layer_key end = {.run = "\xff\xff"};
    struct totals_row totals = {0};
    int64_t crc = 0;

    if (totals_read(db, &totals, failure) == 0 || !damage_is_of_rows(db, failure))
        return failure->status == TRIT_OK ? 0 : -1;
    if (db_number(db, "SELECT COUNT(*) FROM layers", &totals.layers, failure) ||
        db_number(db, "SELECT sequence FROM totals", &totals.sequence, failure) ||
        db_number(db, "SELECT crc FROM totals", &crc, failure) ||
        scan_layer_before(db, &end, &totals.last, failure) ||
        definitions_crc(db, &totals.schema_crc, failure))
        return -1;
    return crc == (int64_t)totals_row_crc(&totals) ? totals_put(db, &totals, failure) : 0;
}

/* Damage that cannot be mended, for example on a full disk, stays. */
static void mend_rows(struct db *db)
{
    struct failure ignored = {0};

    if (db_exec(db, "BEGIN IMMEDIATE", &ignored))
        return;
    if (layers_mend(db, &ignored) < 0 || mend_totals(db, &ignored) ||
        db_exec(db, "COMMIT", &ignored))
        db_exec(db, "ROLLBACK", NULL);
}

/* Checks the rows of layers and runs, makes those that are damaged again where that is
 * possible, and removes orphans. If anything stays damaged, all uploads stay: one that looks
 * like an orphan may not be. */
static int check_rows(struct db *db, struct failure *damage, struct failure *failure)
{
    struct failure reason = *damage;

    if (reason.status == TRIT_OK)
        check_layers(db, &reason);
    if (reason.status == TRIT_DATA_LOSS) {
        *damage = reason;
        reason = (struct failure){0};
        mend_rows(db);
        if (check_layers(db, &reason) == 0)
            fail_context(damage, "made again from the reports");
    }
    if (reason.status == TRIT_OK && codes_remove_orphans(db, &reason) == 0)
        return 0;
    return tolerate(&reason, damage, failure);
}

int schema_prepare(struct db *db, enum schema_place place, struct failure *damage,
                   struct failure *failure)
{
    int64_t version;

    if (identify(db, &version, failure) || check_kept(version, place, failure) ||
        settings(db, place == SCHEMA_IN_MEMORY, version == 0, failure) ||
        schema_migrate(db, version, schema_version(), failure) ||
        check_definitions(db, damage, failure) || check(db, failure) ||
        check_rows(db, damage, failure))
        return -1;
    return 0;
}
