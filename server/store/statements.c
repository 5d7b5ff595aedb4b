/* SPDX-License-Identifier: Apache-2.0 */
#include "store/statements.h"

#include "store/columns.h"

static const char *const sql[STATEMENT_COUNT] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_BEGIN_READ] = "BEGIN",
    [ST_REPORTS_FROM] = "SELECT " REPORT_COLUMNS " FROM reports"
                        " WHERE run = ?1 AND layer = ?2 AND step >= ?3 ORDER BY step",
    [ST_REPORTS_DOWN] = "SELECT " REPORT_COLUMNS " FROM reports"
                        " WHERE run = ?1 AND layer = ?2 AND step <= ?3"
                        " ORDER BY step DESC",
    [ST_REPORT_INSERT] = "INSERT INTO reports (" REPORT_COLUMNS ")"
                         " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [ST_REPORT_LINK] = "UPDATE reports SET previous = ?4, crc = ?5"
                       " WHERE run = ?1 AND layer = ?2 AND step = ?3",
    [ST_LAYERS_FROM] = "SELECT " LAYER_COLUMNS " FROM layers"
                       " WHERE (run, layer) >= (?1, ?2) ORDER BY run, layer",
    [ST_LAYERS_DOWN] = "SELECT " LAYER_COLUMNS " FROM layers"
                       " WHERE (run, layer) <= (?1, ?2) ORDER BY run DESC, layer DESC",
    [ST_LAYER_INSERT] =
        "INSERT INTO layers (" LAYER_COLUMNS ")"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    [ST_LAYER_UPDATE] =
        "UPDATE layers SET step_min = ?3, step_max = ?4, reports = ?5, time_unix_ns = ?6,"
        " upload = ?7, shape = ?8, group_size = ?9, partial = ?10, previous_run = ?11,"
        " previous_layer = ?12, crc = ?13 WHERE run = ?1 AND layer = ?2",
    [ST_TOTALS_SELECT] = "SELECT layers, last_run, last_layer, schema_crc, crc"
                         " FROM totals",
    [ST_TOTALS_PUT] = "UPDATE totals SET layers = ?1, last_run = ?2, last_layer = ?3,"
                      " schema_crc = ?4, crc = ?5",
    [ST_CODES_INSERT] = "INSERT INTO codes (upload, chunk, data, crc)"
                        " VALUES (?1, ?2, ?3, ?4)",
    [ST_CODES_DELETE] = "DELETE FROM codes WHERE upload = ?1",
    [ST_CODES_SELECT_OLD] = "SELECT chunk, data, crc FROM codes WHERE upload = ?1"
                            " ORDER BY chunk",
    [ST_CODES_SELECT_NEW] = "SELECT chunk, data, crc FROM codes WHERE upload = ?1"
                            " ORDER BY chunk",
    [ST_CODES_ORPHAN] = "SELECT upload FROM codes WHERE upload > ?1"
                        " AND upload NOT IN (SELECT upload FROM layers)"
                        " ORDER BY upload LIMIT 1",
};

sqlite3_stmt *statement(struct db *db, enum statement_id id, struct failure *failure)
{
    return db_statement(db, (unsigned)id, sql[id], failure);
}

int statement_run(struct db *db, enum statement_id id, struct failure *failure)
{
    sqlite3_stmt *prepared = statement(db, id, failure);

    return prepared ? db_run(db, prepared, failure) : -1;
}
