/* SPDX-License-Identifier: Apache-2.0 */
#include "store/kept.h"

#include "store/codes.h"
#include "store/statements.h"

int kept_row_put(struct db *db, const struct kept_row *row, struct failure *failure)
{
    sqlite3_stmt *put = statement(db, ST_KEPT_INSERT, failure);

    if (!put)
        return -1;
    int bound = db_bind_i64(put, 1, row->sequence) | db_bind_i64(put, 2, row->upload) |
                db_bind_i64(put, 3, row->scales) | db_bind_i64(put, 4, row->bytes) |
                db_bind_i64(put, 5, kept_row_crc(row));

    if (db_run_bound(db, put, bound, failure))
        return -1;
    db->kept += row->bytes;
    return 0;
}

int kept_row_share(struct db *db, const struct kept_row *row, struct failure *failure)
{
    if (kept_row_put(db, row, failure))
        return -1;
    db->kept -= row->bytes;
    return 0;
}

int kept_sum(struct db *db, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_KEPT_BYTES, failure);
    int found = select ? db_step(db, select, failure) : -1;

    if (found == 1)
        db->kept = sqlite3_column_int64(select, 0);
    if (select)
        db_reset(select);
    return found == 1 ? 0 : -1;
}

int kept_row_read(sqlite3_stmt *select, struct kept_row *row, struct failure *failure)
{
    bool sound = true;

    for (int column = 0; column < 5; column++)
        sound = sound && sqlite3_column_type(select, column) == SQLITE_INTEGER;
    *row = (struct kept_row){.sequence = sqlite3_column_int64(select, 0),
                             .upload = sqlite3_column_int64(select, 1),
                             .scales = sqlite3_column_int64(select, 2),
                             .bytes = sqlite3_column_int64(select, 3)};
    if (sound && sqlite3_column_int64(select, 4) == (int64_t)kept_row_crc(row))
        return 0;
    return fail(failure, TRIT_DATA_LOSS, NULL, "a row of kept codes is damaged");
}

int find_kept(struct db *db, int64_t sequence, struct kept_row *row,
              struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_KEPT_SELECT, failure);

    if (!select)
        return -1;
    db_bind_i64(select, 1, sequence);
    int found = db_step(db, select, failure);

    if (found == 1 && kept_row_read(select, row, failure))
        found = -1;
    db_reset(select);
    return found;
}

int kept_count_bytes(struct db *db, struct kept_row *row, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_CODES_BYTES, failure);

    if (!select)
        return -1;
    db_bind_i64(select, 1, row->upload);
    db_bind_i64(select, 2, row->scales ? row->scales : row->upload);
    int found = db_step(db, select, failure);

    if (found == 1)
        row->bytes = sqlite3_column_int64(select, 0);
    db_reset(select);
    return found < 0 ? -1 : 0;
}

/* Deletes the rows of an upload to which nothing refers any more. `bytes` are no longer
 * kept then. */
static int delete_unused(struct db *db, int64_t upload, int64_t bytes,
                         struct failure *failure)
{
    sqlite3_stmt *select;
    int used;

    if (upload == 0)
        return 0;
    select = statement(db, ST_KEPT_USES, failure);
    if (!select)
        return -1;
    db_bind_i64(select, 1, upload);
    used = db_step(db, select, failure);
    db_reset(select);
    if (used != 0)
        return used < 0 ? -1 : 0;
    db->kept -= bytes;
    return codes_delete(db, upload, failure);
}

static int delete_row(struct db *db, int64_t sequence, struct failure *failure)
{
    sqlite3_stmt *delete = statement(db, ST_KEPT_DELETE, failure);

    return delete ? db_run_bound(db, delete, db_bind_i64(delete, 1, sequence), failure)
                  : -1;
}

int kept_release(struct db *db, int64_t sequence, struct failure *failure)
{
    struct kept_row row;
    int found = find_kept(db, sequence, &row, failure);

    /* A damaged row does not say which uploads it is about. A store that opens deletes those
     * that nothing refers to. */
    if (found < 0 && damage_is_of_rows(db, failure))
        return delete_row(db, sequence, failure) || kept_sum(db, failure) ? -1 : 0;
    if (found <= 0)
        return found;
    if (delete_row(db, sequence, failure))
        return -1;
    return delete_unused(db, row.upload, row.bytes, failure) ||
                   delete_unused(db, row.scales, 0, failure)
               ? -1
               : 0;
}
