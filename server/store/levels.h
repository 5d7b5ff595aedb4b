/* SPDX-License-Identifier: Apache-2.0 */
/* The levels of a layer's history; past.h explains them. */
#ifndef STORE_LEVELS_H
#define STORE_LEVELS_H

#include "store/past.h"

enum { HISTORY_FAN = 4 }; /* cells that make one of the next level */

/* Adds a cell of one report to the row, in memory, and to `history`. */
int history_add(struct db *db, struct past_row *row, const struct cell *cell,
                struct failure *failure);

/* Visits the cells that cover the steps `from` to `to`, inclusive: of this level where it
 * reaches, of lower levels where it does not, and of level 0 where a cell is only partly
 * in the range. Not in order. A visit returns 0, or -1 for failure. `from` is not below the
 * layer's first step. */
struct history_walk {
    const struct past_row *row;
    unsigned level;
    int64_t from, to;
    int (*visit)(void *arg, const struct cell *cell, struct failure *failure);
    void *arg;
};
int history_walk(struct db *db, const struct history_walk *walk, struct failure *failure);

/* Whether it has or had cells of steps below `step_min`, the layer's first: of reports that
 * were deleted. 1, 0 or -1. */
int history_reaches_below(struct db *db, const struct past_row *row, int64_t step_min,
                          struct failure *failure);

/* The layer has no steps below `step_min` any more. Deletes rows that only such reports
 * are in. Cheap. */
int history_trim(struct db *db, const struct layer_key *key, int64_t step_min,
                 struct failure *failure);

/* Checks that the rows of all levels are intact and that none is missing. */
int history_check(struct db *db, const struct past_row *row, int64_t step_min,
                  struct failure *failure);

#endif
