/* SPDX-License-Identifier: Apache-2.0 */
/* Which shards the report of a layer was made of, and what each was answered: one row per
 * such report. So a shard that is sent again after the layer is complete gets the same
 * answer, and another one in its place is refused. */
#ifndef STORE_JOINED_H
#define STORE_JOINED_H

#include "shards/list.h"
#include "store/row.h"

int joined_put(struct db *db, int64_t sequence, const struct shard_list *list,
               struct failure *failure);

/* Adds the shards to an empty list. 1: found. 0: the report is not of shards. -1: failure;
 * DATA_LOSS: the row is damaged. */
int joined_find(struct db *db, int64_t sequence, struct shard_list *list,
                struct failure *failure);

/* Copies the row, if there is one, for the copy of a report. */
int joined_copy(struct db *db, int64_t from, int64_t to, struct failure *failure);

int joined_delete(struct db *db, int64_t sequence, struct failure *failure);

/* Replaces the table of waiting shards, which had no rows, and creates the table of joined
 * ones. */
extern const char joined_sql[];

#endif
