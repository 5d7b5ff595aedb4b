/* The writer's SQL: one entry per statement, prepared once. */
#ifndef STORE_STATEMENTS_H
#define STORE_STATEMENTS_H

#include "store/db.h"

enum statement_id {
    ST_BEGIN,
    ST_COMMIT,
    ST_ROLLBACK,
    ST_REPORT_SELECT,    /* run, layer, step -> digest, report */
    ST_REPORT_INSERT,    /* run, layer, step, time, digest, report */
    ST_LAYER_SELECT,     /* run, layer -> the rest, in the table's order */
    ST_LAYER_UPSERT,     /* the whole row, in the table's order */
    ST_CODES_INSERT,     /* upload, chunk, data */
    ST_CODES_DELETE,     /* upload */
    ST_CODES_SELECT_OLD, /* upload -> data; two, because both are open at once */
    ST_CODES_SELECT_NEW,
    STATEMENT_COUNT
};
_Static_assert((int)STATEMENT_COUNT <= (int)DB_STATEMENTS_MAX,
               "a slot for each statement");

/* NULL on failure. */
sqlite3_stmt *statement(struct db *db, enum statement_id id, struct failure *failure);

#endif
