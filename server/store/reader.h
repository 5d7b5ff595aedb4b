/* SPDX-License-Identifier: Apache-2.0 */
/* What the queries of a reader share. A reader has its own connection, which cannot
 * write. Each query is one transaction, so it sees one consistent state. walk.h checks
 * that rows are intact and that none is missing. */
#ifndef STORE_READER_H
#define STORE_READER_H

#include "health/health.h"
#include "store/run.h"
#include "store/store.h"
#include "store/walk.h"

struct store_reader {
    struct db db;
    struct health_rules rules; /* of the store */
};

/* Until end_read, all reads see the state as it is now. */
int begin_read(struct db *db, struct failure *failure);
void end_read(struct db *db);

/* As find_run; a run whose fork is still being copied counts as missing. */
int find_readable_run(struct db *db, const char *name, struct run_row *run,
                      struct failure *failure);

/* Decodes the report, and sets `stored` and `superseded`. */
int read_report_row(const struct report_row *row, const struct run_row *run,
                    struct trit_report *report, struct failure *failure);

/* Finds the row of the report that `get` names, and the run. The caller releases *row.
 * -1: NOT_FOUND names what is missing. */
int find_get(struct db *db, const struct store_get *get, struct run_row *run,
             struct layer_row *layer, struct report_row *row, struct failure *failure);

#endif
