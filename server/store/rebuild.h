/* SPDX-License-Identifier: Apache-2.0 */
/* Making a layer's past and history from its reports. */
#ifndef STORE_REBUILD_H
#define STORE_REBUILD_H

#include "health/health.h"
#include "store/row.h"

/* Adds a report of the layer's newest step, which was filed elsewhere, in memory and to the
 * history. Changes the report's reasons. */
struct cell;
struct past_row;
int past_add_report(struct db *db, const struct health_rules *rules, struct past_row *row,
                    struct trit_report *report, struct failure *failure);

/* Reads the row of a layer that exists, with the reports that are newer than what was
 * written of it; row->damaged says whether some of these are damaged. Resets the statement
 * ST_REPORTS_FROM if there are any. */
int past_read(struct db *db, const struct layer_row *layer, struct past_row *row,
              struct failure *failure);

/* For a reader that has met damage in what is kept of the layer: makes the past from the
 * reports, in memory, and visits a cell for each. */
int past_of_reports(struct db *db, const struct layer_row *layer, struct past_row *row,
                    int (*visit)(void *arg, const struct cell *cell,
                                 struct failure *failure),
                    void *arg, struct failure *failure);

/* The past alone, without the history: as past_read, or from the reports. */
int past_read_or_make(struct db *db, const struct layer_row *layer, struct past_row *row,
                      struct failure *failure);

/* Writes the row if it was not written since the report of this step. */
int past_write_until(struct db *db, const struct layer_row *layer, int64_t step,
                     struct failure *failure);

/* Makes everything again from the layer's reports, after some were deleted or copied. Reads
 * all of them. Cells without values stand for those that are damaged. If the layer has no
 * row any more, use past_delete. */
int past_rebuild(struct db *db, const struct health_rules *rules,
                 const struct layer_row *layer, struct failure *failure);

/* The same because a row of it is damaged. *row is what was made. After -1 roll back. */
int past_remake(struct db *db, const struct health_rules *rules,
                const struct layer_row *layer, struct past_row *row,
                struct failure *failure);

/* Fills the table `pasts` for layers that exist: the step of the schema. */
int past_fill(struct db *db, struct failure *failure);

/* Reads all rows of a layer: 0, or -1 with what is damaged. */
int past_check(struct db *db, const struct layer_row *layer, struct failure *failure);

#endif
