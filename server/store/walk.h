/* SPDX-License-Identifier: Apache-2.0 */
/* Finding rows, and proving that there are no others. Every answer rests on rows
 * whose CRC fits, and on the neighbours that they name: a row that damage has hidden
 * from a search is DATA_LOSS, never absent. One consistent state is the caller's
 * affair: a transaction around it. */
#ifndef STORE_WALK_H
#define STORE_WALK_H

#include "store/row.h"

/* 1: *row is the layer's. 0: there is none; *row is the one that comes after it, and
 * row->previous the one before; empty keys where there is no such layer. -1. */
int find_layer(struct db *db, const struct layer_key *key, struct layer_row *row,
               struct failure *failure);

/* A report of a layer whose row is `layer`. 1: *row is it. 0: there is none; *row is
 * the next later one, or row->select is NULL. Either way the caller ends with
 * report_row_release. -1: nothing to release. */
int find_report(struct db *db, const struct layer_row *layer, int64_t step,
                struct report_row *row, struct failure *failure);
void report_row_release(struct report_row *row);

/* Walks visit row after row. Visits answer 1: go on, 0: enough, -1: failed; walks
 * answer 1: to the end, 0: a visit had enough, -1. That nothing is missing is proved
 * as far as the visits went. */
struct layer_walk {
    struct layer_key start; /* the first one visited is this one or beyond it */
    bool backwards;
    const char *run; /* ends where another run begins; NULL: never */
    int (*visit)(void *arg, const struct layer_row *row, struct failure *failure);
    void *arg;
};
int walk_layers(struct db *db, const struct layer_walk *walk, struct failure *failure);

struct report_walk {
    const struct layer_row *layer;
    int64_t from, to; /* inclusive */
    bool backwards;
    int (*visit)(void *arg, const struct report_row *row, struct failure *failure);
    void *arg;
};
int walk_reports(struct db *db, const struct report_walk *walk, struct failure *failure);

#endif
