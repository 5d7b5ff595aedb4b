/* SPDX-License-Identifier: Apache-2.0 */
/* Finds rows, and proves that none is missing. Every answer depends on rows with a
 * correct CRC and on the neighbours that they name. A row that damage has hidden from a
 * search is DATA_LOSS, never absent. The caller begins and ends the transaction. */
#ifndef STORE_WALK_H
#define STORE_WALK_H

#include "store/row.h"
#include "store/statements.h"

/* Finds a layer. Returns 1: *row is the layer. Returns 0: it does not exist; *row is the
 * next layer and row->previous the one before, each with empty strings if there is none.
 * Returns -1: failure. */
int find_layer(struct db *db, const struct layer_key *key, struct layer_row *row,
               struct failure *failure);

/* The first layer at or after `key`. Without a key: the end; its previous is the last one. */
int find_layer_from(struct db *db, const struct layer_key *key, struct layer_row *row,
                    struct failure *failure);

/* Finds the layer and the step of a filed report: ST_REPORT_AT that of this sequence,
 * ST_REPORTS_SINCE the first after it. 1: found. 0: there is no such report. */
int find_filed(struct db *db, enum statement_id id, int64_t sequence,
               struct layer_row *layer, int64_t *step, struct failure *failure);

/* Finds a report of a layer. Returns 1: *row is the report. Returns 0: it does not exist;
 * *row is the next later one, or row->select is NULL. In both cases the caller calls
 * report_row_release. Returns -1: failure; do not release. */
int find_report(struct db *db, const struct layer_row *layer, int64_t step,
                struct report_row *row, struct failure *failure);
void report_row_release(struct report_row *row);

/* Finds the newest step up to `until` of a layer that has one. */
int find_newest_step(struct db *db, const struct layer_row *layer, int64_t until,
                     int64_t *step, struct failure *failure);

/* Visits row after row. A visit returns 1 to go on, 0 to stop, -1 for failure. A walk
 * returns 1 at the end, 0 if a visit stopped it, -1 for failure. It proves that no row
 * is missing among those that it visited. */
struct layer_walk {
    struct layer_key start; /* visit this one and those beyond */
    bool backwards;
    const char *run; /* end where another run begins; NULL: visit all runs */
    int (*visit)(void *arg, const struct layer_row *row, struct failure *failure);
    /* NULL: damage ends the walk. Otherwise, of walks forward, the walk goes on, and this is
     * called for each layer that a damaged row, a report or the row after it shows to be
     * there, in order with the others. */
    int (*damaged)(void *arg, const struct layer_key *key, struct failure *failure);
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
