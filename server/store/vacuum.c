/* SPDX-License-Identifier: Apache-2.0 */
#include "store/vacuum.h"

#include <stdio.h>

#include "store/statements.h"

/* An eighth of the file may be free: it will be used again soon. */
bool vacuum_due(struct db *db)
{
    int64_t unused = statement_number(db, ST_FREE_PAGES);

    return unused > VACUUM_PAGES_LEFT && unused > statement_number(db, ST_PAGES) / 8 &&
           statement_number(db, ST_VACUUM_MODE) == 2;
}

int vacuum_step(struct db *db, struct failure *failure)
{
    char sql[48];

    snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES_MAX);
    if (db_exec(db, sql, failure))
        return -1;
    return vacuum_due(db);
}
