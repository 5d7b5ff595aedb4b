/* SPDX-License-Identifier: Apache-2.0 */
#include "store/vacuum.h"

#include <stdio.h>

#include "store/statements.h"

static int64_t number(struct db *db, enum statement_id id)
{
    sqlite3_stmt *select = statement(db, id, NULL);
    int64_t value = 0;

    if (select && db_step(db, select, NULL) == 1)
        value = sqlite3_column_int64(select, 0);
    if (select)
        db_reset(select);
    return value;
}

/* An eighth of the file may be free: it will be used again soon. */
bool vacuum_due(struct db *db)
{
    int64_t unused = number(db, ST_FREE_PAGES);

    return unused > VACUUM_PAGES_LEFT && unused > number(db, ST_PAGES) / 8 &&
           number(db, ST_VACUUM_MODE) == 2;
}

int vacuum_step(struct db *db, struct failure *failure)
{
    char sql[48];

    snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES_MAX);
    if (db_exec(db, sql, failure))
        return -1;
    return vacuum_due(db);
}
