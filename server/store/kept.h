/* SPDX-License-Identifier: Apache-2.0 */
/* The codes and scales that are kept of reports: one row per report that has some. Reports
 * of a fork share the uploads of the reports that they were copied from. */
#ifndef STORE_KEPT_H
#define STORE_KEPT_H

#include "store/row.h"

/* Notes what is kept of a report, and counts the bytes in db->kept. */
int kept_row_put(struct db *db, const struct kept_row *row, struct failure *failure);
/* The same for uploads that another report has, and whose bytes are counted already. */
int kept_row_share(struct db *db, const struct kept_row *row, struct failure *failure);

/* Sums db->kept up again, after a rollback. If it fails, the old sum stays. */
int kept_sum(struct db *db, struct failure *failure);

/* The statement gives KEPT_COLUMNS. DATA_LOSS: the row is damaged. */
int kept_row_read(sqlite3_stmt *select, struct kept_row *row, struct failure *failure);

/* Forgets what is kept of a report, if anything is. The codes and scales are deleted if no
 * other report shares them. */
int kept_release(struct db *db, int64_t sequence, struct failure *failure);

/* Finds what is kept of a report. 1: found. 0: nothing is kept. -1: failure. */
int find_kept(struct db *db, int64_t sequence, struct kept_row *row,
              struct failure *failure);

/* Sets row->bytes to the size of its uploads, in a migration: none is in slots yet. */
int kept_count_bytes(struct db *db, struct kept_row *row, struct failure *failure);

#endif
