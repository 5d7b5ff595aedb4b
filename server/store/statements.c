#include "store/statements.h"

static const char *const sql[STATEMENT_COUNT] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_REPORT_SELECT] = "SELECT digest, report FROM reports"
                         " WHERE run = ?1 AND layer = ?2 AND step = ?3",
    [ST_REPORT_INSERT] = "INSERT INTO reports"
                         " (run, layer, step, time_unix_ns, digest, report)"
                         " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [ST_LAYER_SELECT] = "SELECT step_min, step_max, reports, time_unix_ns, upload, shape,"
                        " group_size, partial FROM layers WHERE run = ?1 AND layer = ?2",
    [ST_LAYER_UPSERT] =
        "INSERT INTO layers (run, layer, step_min, step_max, reports, time_unix_ns,"
        " upload, shape, group_size, partial)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        " ON CONFLICT (run, layer) DO UPDATE SET step_min = excluded.step_min,"
        " step_max = excluded.step_max, reports = excluded.reports,"
        " time_unix_ns = excluded.time_unix_ns, upload = excluded.upload,"
        " shape = excluded.shape, group_size = excluded.group_size,"
        " partial = excluded.partial",
    [ST_CODES_INSERT] = "INSERT INTO codes (upload, chunk, data) VALUES (?1, ?2, ?3)",
    [ST_CODES_DELETE] = "DELETE FROM codes WHERE upload = ?1",
    [ST_CODES_SELECT_OLD] = "SELECT data FROM codes WHERE upload = ?1 ORDER BY chunk",
    [ST_CODES_SELECT_NEW] = "SELECT data FROM codes WHERE upload = ?1 ORDER BY chunk",
};

sqlite3_stmt *statement(struct db *db, enum statement_id id, struct failure *failure)
{
    return db_statement(db, (unsigned)id, sql[id], failure);
}
