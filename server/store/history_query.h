/* SPDX-License-Identifier: Apache-2.0 */
/* A query of the history while it is answered; history.c says in which passes. */
#ifndef STORE_HISTORY_QUERY_H
#define STORE_HISTORY_QUERY_H

#include "store/cells.h"
#include "store/history_types.h"
#include "store/run.h"

/* One row of layers that has reports in the range. */
struct segment {
    struct layer_key key;
    int64_t from, to;                    /* of it, inclusive */
    int64_t step_min, step_max, reports; /* of all its reports */
    size_t layer;                        /* index */
    bool lost;                           /* the row is damaged: a mark at `from` */
};

/* The columns of one layer that have reports, in order. */
struct strip {
    char *name;
    enum trit_health health;
    uint64_t step;
    size_t count;
    uint64_t *columns;
    uint8_t *health_of;
    bool *damaged;
    double *values; /* for each wanted field, all columns */
};

struct column {
    uint64_t number;
    struct cell sum;
};

struct step_range {
    int64_t from, to; /* inclusive */
};

struct query {
    struct db *db;
    const struct store_history_query *asked;
    struct store_history *out;
    struct run_row *run;
    uint32_t columns_max;
    size_t field_count;
    struct segment *segments;
    size_t segment_count, segment_space;
    struct strip *strips;
    size_t strip_count, strip_space;
    size_t first, end; /* the strips of the answer */
    uint64_t values;   /* of all strips */
    uint64_t cells;    /* that were read */
    /* of all segments */
    uint64_t from, to, reports, spacing;
    /* the layer that is being read */
    bool from_reports; /* its summaries are damaged: */
    struct step_range range;
    struct column *columns;
    size_t column_count, column_space;
    uint64_t newest; /* the last step of its cells, with the health there */
    enum trit_health newest_health;
};

int history_no_memory(struct failure *failure);
int history_too_large(struct failure *failure);

/* The third pass. Layers of the answer take the names of their strips. */
int history_assemble(struct query *q, struct failure *failure);

#endif
