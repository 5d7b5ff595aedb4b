/* SPDX-License-Identifier: Apache-2.0 */
/* The codes and scales that are kept of reports: one row per report that has some. Reports
 * of a fork share the uploads of the reports that they were copied from. */
#ifndef STORE_KEPT_H
#define STORE_KEPT_H

#include "store/row.h"

int kept_row_put(struct db *db, const struct kept_row *row, struct failure *failure);

/* Deletes an upload of codes with its scales and its rows here; 0: none. */
int kept_release(struct db *db, int64_t upload, struct failure *failure);

/* Finds what is kept of a report. 1: found. 0: nothing is kept. -1: failure. */
int find_kept(struct db *db, int64_t sequence, struct kept_row *row,
              struct failure *failure);

/* Sets row->bytes to the size of its uploads. */
int kept_count_bytes(struct db *db, struct kept_row *row, struct failure *failure);

#endif
