/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rekey.h"

#include <string.h>

#include "store/kept.h"
#include "store/run.h"
#include "store/statements.h"
#include "store/walk.h"

/* OR IGNORE: a row whose key is a duplicate is damage. The rows around it tell that it is
 * missing; the rest stays readable. */
const char rekey_sql[] =
    "CREATE TABLE reports3 ("
    "  sequence INTEGER PRIMARY KEY,"
    "  run TEXT NOT NULL,"
    "  layer TEXT NOT NULL,"
    "  replica BIGINT NOT NULL,"
    "  attempt BIGINT NOT NULL,"
    "  step BIGINT NOT NULL,"
    "  previous BIGINT,"
    "  time_unix_ns BIGINT NOT NULL,"
    "  digest BLOB NOT NULL,"
    "  question BLOB,"
    "  report BLOB NOT NULL,"
    "  crc BIGINT,"
    "  UNIQUE (run, layer, replica, attempt, step));"
    "INSERT OR IGNORE INTO reports3 (run, layer, replica, attempt, step, previous,"
    "  time_unix_ns, digest, question, report, crc)"
    "  SELECT run, layer, 0, 1, step, previous, time_unix_ns, digest, question, report,"
    "  crc FROM reports ORDER BY time_unix_ns, run, layer, step;"
    "CREATE TABLE layers3 ("
    "  run TEXT NOT NULL,"
    "  layer TEXT NOT NULL,"
    "  replica BIGINT NOT NULL,"
    "  attempt BIGINT NOT NULL,"
    "  step_min BIGINT NOT NULL,"
    "  step_max BIGINT NOT NULL,"
    "  reports BIGINT NOT NULL,"
    "  time_unix_ns BIGINT NOT NULL,"
    "  upload BIGINT,"
    "  shape TEXT NOT NULL,"
    "  group_size BIGINT NOT NULL,"
    "  partial BIGINT NOT NULL,"
    "  previous_run TEXT,"
    "  previous_layer TEXT,"
    "  previous_replica BIGINT,"
    "  previous_attempt BIGINT,"
    "  crc BIGINT,"
    "  PRIMARY KEY (run, layer, replica, attempt));"
    "INSERT OR IGNORE INTO layers3 SELECT run, layer, 0, 1, step_min, step_max, reports,"
    "  time_unix_ns, upload, shape, group_size, partial, previous_run, previous_layer, 0,"
    "  CASE previous_run WHEN '' THEN 0 ELSE 1 END, crc FROM layers ORDER BY run, layer;"
    "CREATE TABLE totals3 ("
    "  layers BIGINT NOT NULL,"
    "  last_run TEXT NOT NULL,"
    "  last_layer TEXT NOT NULL,"
    "  last_replica BIGINT NOT NULL,"
    "  last_attempt BIGINT NOT NULL,"
    "  sequence BIGINT NOT NULL,"
    "  schema_crc BIGINT NOT NULL,"
    "  crc BIGINT NOT NULL);"
    "INSERT INTO totals3 SELECT layers, last_run, last_layer, 0,"
    "  CASE last_run WHEN '' THEN 0 ELSE 1 END, 0, schema_crc, crc FROM totals;"
    "DROP TABLE reports; DROP TABLE layers; DROP TABLE totals;"
    "ALTER TABLE reports3 RENAME TO reports;"
    "ALTER TABLE layers3 RENAME TO layers;"
    "ALTER TABLE totals3 RENAME TO totals;"
    "CREATE TABLE runs ("
    "  run TEXT NOT NULL,"
    "  state BIGINT NOT NULL,"
    "  attempts BLOB NOT NULL,"
    "  crc BIGINT NOT NULL,"
    "  PRIMARY KEY (run));"
    "CREATE TABLE kept ("
    "  sequence INTEGER PRIMARY KEY,"
    "  upload BIGINT NOT NULL,"
    "  scales BIGINT NOT NULL,"
    "  bytes BIGINT NOT NULL,"
    "  crc BIGINT NOT NULL);"
    "CREATE INDEX kept_upload ON kept (upload);"
    "CREATE INDEX kept_scales ON kept (scales);"
    "CREATE TABLE shards ("
    "  run TEXT NOT NULL,"
    "  layer TEXT NOT NULL,"
    "  replica BIGINT NOT NULL,"
    "  attempt BIGINT NOT NULL,"
    "  step BIGINT NOT NULL,"
    "  part TEXT NOT NULL,"
    "  number BIGINT NOT NULL,"
    "  upload BIGINT NOT NULL,"
    "  scales BIGINT NOT NULL,"
    "  time_unix_ns BIGINT NOT NULL,"
    "  question BLOB NOT NULL,"
    "  report BLOB NOT NULL,"
    "  crc BIGINT NOT NULL,"
    "  PRIMARY KEY (run, layer, replica, attempt, step, part));";

/* Every run that a layer names, also a damaged one: its other layers stay readable. */
static int name_runs(struct db *db, struct failure *failure)
{
    sqlite3_stmt *select = NULL;
    int result = sqlite3_prepare_v2(
        db->sqlite, "SELECT DISTINCT run FROM layers WHERE length(run) < 256", -1,
        &select, NULL);
    int found = result == SQLITE_OK ? 1 : db_fail(db, result, failure);

    while (found == 1 && (found = db_step(db, select, failure)) == 1) {
        const char *name = (const char *)sqlite3_column_text(select, 0);
        struct run_row row = {.state = RUN_OPEN};

        if (!name) {
            found = db_fail(db, SQLITE_NOMEM, failure);
            break;
        }
        strncpy(row.run, name, sizeof(row.run) - 1);
        if (run_add_attempt(db, &row, STEP_NONE, ATTEMPT_BY_PUT, failure) ||
            run_row_put(db, &row, failure))
            found = -1;
    }
    sqlite3_finalize(select);
    return found;
}

/* The codes of this layer's newest report. */
static int keep_codes(struct db *db, const struct layer_row *layer,
                      struct failure *failure)
{
    struct report_row report;
    struct kept_row kept = {.upload = layer->upload};
    int found = find_report(db, layer, layer->step_max, &report, failure);

    if (found < 0)
        return -1;
    kept.sequence = report.sequence;
    report_row_release(&report);
    if (found == 0)
        return 0;
    return kept_count_bytes(db, &kept, failure) || kept_row_put(db, &kept, failure) ? -1
                                                                                    : 0;
}

/* Damaged rows are skipped: they are told when they are read. */
static int keep_all_codes(struct db *db, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_LAYERS_FROM, failure);
    struct layer_key first = {.run = ""};
    int found = select && bind_key(select, 1, &first) == SQLITE_OK ? 1 : -1;

    while (found == 1 && (found = db_step(db, select, failure)) == 1) {
        struct failure damage = {0};
        struct layer_row layer;

        if ((layer_row_read(db, select, &layer, &damage) ||
             (layer.upload != 0 && keep_codes(db, &layer, &damage))) &&
            damage.status != TRIT_DATA_LOSS)
            found = fail_as(failure, &damage);
    }
    if (select)
        db_reset(select);
    return found;
}

int rekey_rows(struct db *db, struct failure *failure)
{
    return name_runs(db, failure) || keep_all_codes(db, failure) ? -1 : 0;
}
