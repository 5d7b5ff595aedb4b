/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what the tables have, beside damaged rows. This proves nothing: a row may be missing.
 * It is for what deletes rows or makes others from them; everything else walks (walk.h). */
#ifndef STORE_SCAN_H
#define STORE_SCAN_H

#include "store/row.h"

struct scanned {
    int64_t sequence, step;          /* as the table has them */
    const struct report_row *intact; /* NULL: the row is damaged */
};

/* Visits in the order of steps, from `from` on, or down. A visit returns 1 to go on, 0 to
 * stop, -1 for failure. */
struct scan {
    const struct layer_key *key;
    int64_t from;
    bool backwards;
    int (*visit)(void *arg, const struct scanned *row, struct failure *failure);
    void *arg;
};
/* 0, or -1. */
int scan_reports(struct db *db, const struct scan *scan, struct failure *failure);

/* The newest step in a range that the table has of a layer. 1, 0: none, or -1. */
int scan_newest(struct db *db, const struct layer_key *key, int64_t from, int64_t to,
                int64_t *step, struct failure *failure);

/* Whether either table has a row of the layer. 1, 0 or -1. */
int scan_has_layer(struct db *db, const struct layer_key *key, struct failure *failure);

/* The row of the report that was filed first, damaged or not. 1: found; *key and *step as
 * the table has them. 0: there is none. */
int scan_oldest(struct db *db, struct layer_key *key, int64_t *step, int64_t *sequence,
                struct failure *failure);

/* The first layer at or after `key` whose row is intact; without a key: there is none. */
int scan_layer(struct db *db, const struct layer_key *key, struct layer_row *row,
               struct failure *failure);

/* Keys as the tables have them, whatever else is damaged; without a run: there is none. The
 * key of the first layer's row at or after `from`; of the last one before `key`; of the first
 * report at or after `from`; of the last one before all of `key`. */
int scan_layer_key(struct db *db, const struct layer_key *from, struct layer_key *key,
                   struct failure *failure);
int scan_layer_before(struct db *db, const struct layer_key *key,
                      struct layer_key *before, struct failure *failure);
int scan_report_key(struct db *db, const struct layer_key *from, struct layer_key *key,
                    struct failure *failure);
int scan_report_before(struct db *db, const struct layer_key *key,
                       struct layer_key *before, struct failure *failure);

/* Makes it the next key; no key of a layer is between the two. */
void layer_key_step(struct layer_key *key);

/* The key in the first four columns. False: it is none. */
bool scan_key(sqlite3_stmt *select, struct layer_key *key);

/* How many rows the table has of the layer. */
int scan_count(struct db *db, const struct layer_key *key, int64_t *count,
               struct failure *failure);

#endif
