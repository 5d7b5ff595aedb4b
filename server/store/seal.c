/* SPDX-License-Identifier: Apache-2.0 */
#include "store/seal.h"

#include <string.h>

#include "store/row.h"
#include "store/statements.h"

/* A loop over all rows of one table that sets columns of each. */
struct pass {
    struct db *db;
    sqlite3_stmt *select, *update;
};

static int pass_begin(struct pass *pass, struct db *db, const char *select,
                      const char *update, struct failure *failure)
{
    *pass = (struct pass){.db = db};
    int result = sqlite3_prepare_v2(db->sqlite, select, -1, &pass->select, NULL);

    if (result == SQLITE_OK)
        result = sqlite3_prepare_v2(db->sqlite, update, -1, &pass->update, NULL);
    return result == SQLITE_OK ? 0 : db_fail(db, result, failure);
}

static void pass_end(struct pass *pass)
{
    sqlite3_finalize(pass->select);
    sqlite3_finalize(pass->update);
}

static const char *text(struct pass *pass, int at)
{
    const char *value = (const char *)sqlite3_column_text(pass->select, at);

    return value ? value : "";
}

static const uint8_t *blob(struct pass *pass, int at, size_t *count)
{
    const uint8_t *bytes = sqlite3_column_blob(pass->select, at);

    *count = bytes ? (size_t)sqlite3_column_bytes(pass->select, at) : 0;
    return bytes;
}

/* In the order of the key, so that each report follows the one before it. */
static int seal_reports(struct db *db, struct failure *failure)
{
    struct layer_key key = {0};
    int64_t last = STEP_NONE;
    struct pass pass;
    int row = -1;

    if (pass_begin(&pass, db,
                   "SELECT run, layer, step, time_unix_ns, digest, report FROM reports"
                   " ORDER BY run, layer, step",
                   "UPDATE reports SET previous = ?4, crc = ?5"
                   " WHERE run = ?1 AND layer = ?2 AND step = ?3",
                   failure))
        goto end;
    while ((row = db_step(db, pass.select, failure)) == 1) {
        struct report_row report = {.key = &key};
        struct layer_key before = key;

        layer_key_set(&key, text(&pass, 0), text(&pass, 1));
        if (layer_key_compare(&key, &before) != 0)
            last = STEP_NONE;
        report.step = sqlite3_column_int64(pass.select, 2);
        report.previous = last;
        report.time_unix_ns = sqlite3_column_int64(pass.select, 3);
        report.digest = blob(&pass, 4, &report.digest_bytes);
        report.report = blob(&pass, 5, &report.report_bytes);
        last = report.step;
        int bound = db_bind_text(pass.update, 1, key.run) |
                    db_bind_text(pass.update, 2, key.layer) |
                    db_bind_i64(pass.update, 3, report.step) |
                    db_bind_i64(pass.update, 4, report.previous) |
                    db_bind_i64(pass.update, 5, report_row_crc(&report));

        if (db_run_bound(db, pass.update, bound, failure)) {
            row = -1;
            break;
        }
    }
end:
    pass_end(&pass);
    return row;
}

static int seal_layers(struct db *db, struct totals_row *totals, struct failure *failure)
{
    struct pass pass;
    int row = -1;

    if (pass_begin(
            &pass, db,
            "SELECT run, layer, step_min, step_max, reports, time_unix_ns,"
            " COALESCE(upload, 0), shape, group_size, partial FROM layers"
            " ORDER BY run, layer",
            "UPDATE layers SET upload = ?3, previous_run = ?4, previous_layer = ?5,"
            " crc = ?6 WHERE run = ?1 AND layer = ?2",
            failure))
        goto end;
    while ((row = db_step(db, pass.select, failure)) == 1) {
        struct layer_row layer = {
            .step_min = sqlite3_column_int64(pass.select, 2),
            .step_max = sqlite3_column_int64(pass.select, 3),
            .reports = sqlite3_column_int64(pass.select, 4),
            .time_unix_ns = sqlite3_column_int64(pass.select, 5),
            .upload = sqlite3_column_int64(pass.select, 6),
            .group_size = sqlite3_column_int64(pass.select, 8),
            .partial = sqlite3_column_int64(pass.select, 9),
            .previous = totals->last,
        };

        layer_key_set(&layer.key, text(&pass, 0), text(&pass, 1));
        strncpy(layer.shape, text(&pass, 7), sizeof(layer.shape) - 1);
        totals->last = layer.key;
        totals->layers++;
        int bound = db_bind_text(pass.update, 1, layer.key.run) |
                    db_bind_text(pass.update, 2, layer.key.layer) |
                    db_bind_i64(pass.update, 3, layer.upload) |
                    db_bind_text(pass.update, 4, layer.previous.run) |
                    db_bind_text(pass.update, 5, layer.previous.layer) |
                    db_bind_i64(pass.update, 6, layer_row_crc(&layer));

        if (db_run_bound(db, pass.update, bound, failure)) {
            row = -1;
            break;
        }
    }
end:
    pass_end(&pass);
    return row;
}

static int seal_codes(struct db *db, struct failure *failure)
{
    struct pass pass;
    int row = -1;

    if (pass_begin(&pass, db, "SELECT upload, chunk, data FROM codes ORDER BY rowid",
                   "UPDATE codes SET crc = ?3 WHERE upload = ?1 AND chunk = ?2", failure))
        goto end;
    while ((row = db_step(db, pass.select, failure)) == 1) {
        int64_t upload = sqlite3_column_int64(pass.select, 0);
        int64_t chunk = sqlite3_column_int64(pass.select, 1);
        size_t count;
        const uint8_t *bytes = blob(&pass, 2, &count);
        int bound =
            db_bind_i64(pass.update, 1, upload) | db_bind_i64(pass.update, 2, chunk) |
            db_bind_i64(pass.update, 3, codes_row_crc(upload, chunk, bytes, count));

        if (db_run_bound(db, pass.update, bound, failure)) {
            row = -1;
            break;
        }
    }
end:
    pass_end(&pass);
    return row;
}

int seal_rows(struct db *db, struct failure *failure)
{
    struct totals_row totals = {0};

    sqlite3_stmt *insert = NULL;

    if (seal_reports(db, failure) || seal_layers(db, &totals, failure) ||
        seal_codes(db, failure))
        return -1;
    int result = sqlite3_prepare_v2(
        db->sqlite, "INSERT INTO totals VALUES (?1, ?2, ?3, 0, ?4)", -1, &insert, NULL);

    if (result != SQLITE_OK)
        return db_fail(db, result, failure);
    int bound = db_bind_i64(insert, 1, totals.layers) |
                db_bind_text(insert, 2, totals.last.run) |
                db_bind_text(insert, 3, totals.last.layer) |
                db_bind_i64(insert, 4, totals_row_crc(&totals));

    result = db_run_bound(db, insert, bound, failure);
    sqlite3_finalize(insert);
    return result;
}
