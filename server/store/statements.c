/* SPDX-License-Identifier: Apache-2.0 */
#include "store/statements.h"

#include "store/columns.h"

#define KEY_IS "run = ?1 AND layer = ?2 AND replica = ?3 AND attempt = ?4"

static const char *const sql[STATEMENT_COUNT] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_DATA_VERSION] = "PRAGMA data_version",
    [ST_BEGIN_READ] = "BEGIN",
    [ST_REPORTS_FROM] = "SELECT " REPORT_COLUMNS " FROM reports"
                        " WHERE " KEY_IS " AND step >= ?5 ORDER BY step",
    [ST_REPORTS_DOWN] = "SELECT " REPORT_COLUMNS " FROM reports"
                        " WHERE " KEY_IS " AND step <= ?5 ORDER BY step DESC",
    [ST_REPORTS_COUNT] = "SELECT COUNT(*) FROM reports WHERE " KEY_IS,
    [ST_REPORT_KEY_FROM] = "SELECT run, layer, replica, attempt FROM reports"
                           " WHERE (run, layer, replica, attempt) >= (?1, ?2, ?3, ?4)"
                           " ORDER BY run, layer, replica, attempt",
    [ST_REPORT_KEY_BEFORE] = "SELECT run, layer, replica, attempt FROM reports"
                             " WHERE (run, layer, replica, attempt) < (?1, ?2, ?3, ?4)"
                             " ORDER BY run DESC, layer DESC, replica DESC, attempt DESC",
    [ST_REPORTS_OF] = "SELECT sequence FROM reports WHERE run = ?1"
                      " AND (?2 = '' OR layer = ?2)",
    [ST_REPORTS_SINCE] = "SELECT " REPORT_COLUMNS " FROM reports"
                         " WHERE sequence > ?1 ORDER BY sequence",
    [ST_SEQUENCE] = "SELECT MAX(COALESCE((SELECT MAX(sequence) FROM reports), 0),"
                    " COALESCE((SELECT MAX(sequence) FROM totals), 0))",
    [ST_REPORT_INSERT] = "INSERT INTO reports (" REPORT_COLUMNS ")"
                         " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [ST_REPORT_LINK] = "UPDATE reports SET previous = ?6, crc = ?7"
                       " WHERE " KEY_IS " AND step = ?5",
    [ST_REPORT_DELETE] = "DELETE FROM reports WHERE sequence = ?1",
    [ST_LAYERS_FROM] = "SELECT " LAYER_COLUMNS " FROM layers"
                       " WHERE (run, layer, replica, attempt) >= (?1, ?2, ?3, ?4)"
                       " ORDER BY run, layer, replica, attempt",
    [ST_LAYER_AT] = "SELECT " LAYER_COLUMNS " FROM layers"
                    " WHERE (run, layer, replica, attempt) >= (?1, ?2, ?3, ?4)"
                    " ORDER BY run, layer, replica, attempt",
    [ST_LAYERS_DOWN] = "SELECT " LAYER_COLUMNS " FROM layers"
                       " WHERE (run, layer, replica, attempt) <= (?1, ?2, ?3, ?4)"
                       " ORDER BY run DESC, layer DESC, replica DESC, attempt DESC",
    [ST_LAYER_INSERT] = "INSERT INTO layers (" LAYER_COLUMNS ")"
                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
                        " ?14, ?15, ?16, ?17)",
    [ST_LAYER_UPDATE] =
        "UPDATE layers SET step_min = ?5, step_max = ?6, reports = ?7, time_unix_ns = ?8,"
        " upload = ?9, shape = ?10, group_size = ?11, partial = ?12, previous_run = ?13,"
        " previous_layer = ?14, previous_replica = ?15, previous_attempt = ?16,"
        " crc = ?17 WHERE " KEY_IS,
    [ST_LAYER_DELETE] = "DELETE FROM layers WHERE " KEY_IS,
    [ST_RUN_SELECT] = "SELECT " RUN_COLUMNS " FROM runs WHERE run = ?1",
    [ST_RUNS_FORMING] = "SELECT run FROM runs WHERE state & 1",
    [ST_RUN_PUT] = "INSERT OR REPLACE INTO runs (" RUN_COLUMNS ")"
                   " VALUES (?1, ?2, ?3, ?4)",
    [ST_RUN_DELETE] = "DELETE FROM runs WHERE run = ?1",
    [ST_TOTALS_SELECT] = "SELECT layers, last_run, last_layer, last_replica,"
                         " last_attempt, sequence, schema_crc, crc FROM totals",
    [ST_TOTALS_PUT] = "UPDATE totals SET layers = ?1, last_run = ?2, last_layer = ?3,"
                      " last_replica = ?4, last_attempt = ?5, sequence = ?6,"
                      " schema_crc = ?7, crc = ?8",
    [ST_CODES_INSERT] = "INSERT INTO codes (upload, chunk, data, crc, slot)"
                        " VALUES (?1, ?2, ?3, ?4, ?5)",
    [ST_CODES_DELETE] = "DELETE FROM codes WHERE upload = ?1",
    [ST_CODES_SELECT_OLD] = "SELECT " CODES_COLUMNS " FROM codes"
                            " WHERE upload = ?1 AND chunk >= ?2"
                            " ORDER BY chunk",
    [ST_CODES_SELECT_NEW] = "SELECT " CODES_COLUMNS " FROM codes"
                            " WHERE upload = ?1 AND chunk >= ?2"
                            " ORDER BY chunk",
    [ST_CODES_BYTES] = "SELECT SUM(LENGTH(data)) FROM codes WHERE upload IN (?1, ?2)",
    [ST_CODES_SLOTS] = "SELECT " CODES_COLUMNS ", upload FROM codes"
                       " WHERE upload = ?1 AND slot IS NOT NULL",
    [ST_CODES_ALL_SLOTS] = "SELECT " CODES_COLUMNS ", upload FROM codes"
                           " WHERE slot IS NOT NULL",
    [ST_KEPT_INSERT] = "INSERT INTO kept (" KEPT_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5)",
    [ST_KEPT_DELETE] = "DELETE FROM kept WHERE sequence = ?1",
    [ST_KEPT_USES] = "SELECT 1 FROM kept WHERE upload = ?1 UNION ALL"
                     " SELECT 1 FROM kept WHERE scales = ?1 LIMIT 1",
    [ST_KEPT_FROM] = "SELECT " KEPT_COLUMNS " FROM kept WHERE upload >= ?1"
                     " ORDER BY upload, sequence",
    [ST_KEPT_BYTES] = "SELECT COALESCE(SUM(bytes), 0) FROM"
                      " (SELECT MAX(bytes) AS bytes FROM kept GROUP BY upload)",
    [ST_REPORT_AT] = "SELECT " REPORT_COLUMNS " FROM reports WHERE sequence = ?1",
    [ST_KEPT_SELECT] = "SELECT " KEPT_COLUMNS " FROM kept WHERE sequence = ?1",
    [ST_PAGES] = "PRAGMA page_count",
    [ST_FREE_PAGES] = "PRAGMA freelist_count",
    [ST_PAGE_BYTES] = "PRAGMA page_size",
    [ST_VACUUM_MODE] = "PRAGMA auto_vacuum",
    [ST_TIME_OLDEST] = "SELECT time_unix_ns FROM reports ORDER BY sequence LIMIT 1",
    [ST_TIME_NEWEST] = "SELECT time_unix_ns FROM reports ORDER BY sequence DESC LIMIT 1",
    [ST_PAST_SELECT] = "SELECT state, crc FROM pasts WHERE " KEY_IS,
    [ST_PAST_PUT] = "INSERT INTO pasts (run, layer, replica, attempt, state, crc)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
                    " ON CONFLICT (run, layer, replica, attempt)"
                    " DO UPDATE SET state = ?5, crc = ?6",
    [ST_PAST_DELETE] = "DELETE FROM pasts WHERE " KEY_IS,
    [ST_HISTORY_FROM] = "SELECT last, previous, cells, crc FROM history WHERE " KEY_IS
                        " AND level = ?5 AND last >= ?6 ORDER BY last",
    [ST_HISTORY_INSERT] =
        "INSERT INTO history (run, layer, replica, attempt, level, last, previous, cells,"
        " crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [ST_HISTORY_UPDATE] = "UPDATE history SET last = ?6, previous = ?7, cells = ?8,"
                          " crc = ?9 WHERE " KEY_IS " AND level = ?5 AND last = ?10",
    [ST_HISTORY_DELETE] = "DELETE FROM history WHERE " KEY_IS,
    [ST_HISTORY_TRIM] =
        "DELETE FROM history WHERE " KEY_IS " AND level = ?5 AND last < ?6 AND last <"
        " (SELECT MAX(last) FROM history WHERE " KEY_IS " AND level = ?5)",
    [ST_SHARD_LIST] = "SELECT " SHARD_COLUMNS " FROM shards WHERE " KEY_IS
                      " AND step = ?5 AND part = 0",
    [ST_SHARD_LISTS] = "SELECT " SHARD_COLUMNS " FROM shards WHERE part = 0"
                       " AND (run, layer, step, replica, attempt) > (?1, ?2, ?3, ?4, ?5)"
                       " ORDER BY run, layer, step, replica, attempt",
    [ST_SHARD_NEWEST] = "SELECT " SHARD_COLUMNS " FROM shards"
                        " WHERE run = ?1 AND layer = ?2 AND replica = ?3"
                        " AND attempt BETWEEN ?4 AND ?5 AND step BETWEEN ?6 AND ?7"
                        " AND part = 0 ORDER BY step DESC, attempt DESC LIMIT 1",
    [ST_SHARD_PARTS] = "SELECT " SHARD_COLUMNS " FROM shards WHERE " KEY_IS
                       " AND step = ?5 AND part > 0 ORDER BY part",
    [ST_SHARD_PUT] = "INSERT OR REPLACE INTO shards (" SHARD_COLUMNS ")"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [ST_SHARDS_DELETE] = "DELETE FROM shards WHERE " KEY_IS " AND step = ?5",
    [ST_SHARDS_DELETE_OF] = "DELETE FROM shards WHERE run = ?1"
                            " AND (?2 = '' OR layer = ?2) AND step BETWEEN ?3 AND ?4",
    [ST_SHARDS_SUM] = "SELECT COALESCE(SUM(part = 0), 0),"
                      " COALESCE(SUM(CASE WHEN part > 0 THEN number ELSE 0 END), 0)"
                      " FROM shards",
    [ST_CODES_PIECE] = "SELECT substr(data, ?3, ?4), length(data), slot FROM codes"
                       " WHERE upload = ?1 AND chunk = ?2",
    [ST_JOINED_PUT] = "INSERT INTO joined (sequence, list, crc) VALUES (?1, ?2, ?3)",
    [ST_JOINED_SELECT] = "SELECT list, crc FROM joined WHERE sequence = ?1",
    [ST_JOINED_DELETE] = "DELETE FROM joined WHERE sequence = ?1",
    [ST_CODES_ORPHAN] = "SELECT upload FROM codes WHERE upload > ?1"
                        " AND upload NOT IN (SELECT upload FROM layers)"
                        " AND upload NOT IN (SELECT upload FROM kept)"
                        " AND upload NOT IN (SELECT scales FROM kept)"
                        " AND upload NOT IN (SELECT upload FROM shards)"
                        " AND upload NOT IN (SELECT scales FROM shards)"
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

int64_t statement_number(struct db *db, enum statement_id id)
{
    sqlite3_stmt *select = statement(db, id, NULL);
    int64_t value = 0;

    if (select && db_step(db, select, NULL) == 1)
        value = sqlite3_column_int64(select, 0);
    if (select)
        db_reset(select);
    return value;
}
