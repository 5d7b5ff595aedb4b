/* SPDX-License-Identifier: Apache-2.0 */
/* A query of many reports while it is answered, and what it does beside damage. */
#ifndef STORE_LISTING_BESIDE_H
#define STORE_LISTING_BESIDE_H

#include "store/reader.h"

/* A query that is being answered. */
struct listing {
    struct store_reader *reader;
    struct db *db; /* of the reader */
    const struct store_query *query;
    struct run_row run; /* of the layer that is visited */
    bool readable;      /* it exists, and is not a fork that is being copied */
    bool lost;          /* its row is damaged; run.run is its name */
    bool (*visit)(void *arg, const struct trit_report *report);
    void *arg;
    uint32_t left; /* reports until the limit */
    /* of the row of layers that is visited, if staleness is asked for */
    bool is_stale;
    int64_t newest; /* the newest report of the layer and replica, which says so: */
    struct trit_health_reason why;
};

/* Visits one report. 1: go on. 0: stop. */
int list_report(void *arg, const struct report_row *row, struct failure *failure);

/* Whether the last page ended in this row of the table of layers. */
bool resumes_in(const struct store_query *query, const struct layer_row *layer);

/* The next ones are of queries that go on beside damage. Each returns 1 to go on, 0 to stop,
 * -1 for failure.
 *
 * A layer, from step `from` to `to`: its reports, and what is damaged or missing between. */
int list_damaged_layer(struct listing *listing, const struct layer_row *layer,
                       int64_t from, int64_t to, struct failure *failure);

/* The newest report in the range is damaged or missing, or which one it is cannot be known
 * for damage: tells where it is, at the latest. */
int pass_latest(struct listing *listing, const struct layer_row *layer,
                struct failure *failure);

/* The row of the layer, or of its run, is damaged or missing: tells of the layer as a whole,
 * where it is a part of the answer. */
int pass_layer(struct listing *listing, const struct layer_key *key,
               struct failure *failure);

#endif
