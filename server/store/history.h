/* SPDX-License-Identifier: Apache-2.0 */
/* The history of a run's layers, for heat maps and plots. It is read from summaries that
 * are kept while reports are filed, not from the reports: a thousand layers with ten
 * thousand reports each answer in less than a second.
 *
 * A summary of one report has exactly its numbers. One of several reports has the mean of
 * zero_fraction, flips, flip_fraction and scale_mean, the smallest scale_min and sqnr_db,
 * the scale_drift that is farthest from 1, the largest of the others, and the worst
 * health. */
#ifndef STORE_HISTORY_H
#define STORE_HISTORY_H

#include "store/fields.h"
#include "store/store.h"

enum {
    HISTORY_COLUMNS_MAX = 2048,          /* of one answer; more are for the next one */
    HISTORY_VALUES_MAX = 8 << 20,        /* of one answer; RESOURCE_EXHAUSTED */
    HISTORY_EXACT_REPORTS_MAX = 1 << 18, /* so many are summarized to the very step */
};

struct store_history_query {
    const char *run;
    uint32_t attempt; /* 0: the newest, with what it resumed from */
    uint32_t replica;
    const char *layer; /* a shell pattern; NULL or empty: all layers */
    uint64_t from, to; /* steps, inclusive; 0 and UINT64_MAX: all */
    uint64_t every;    /* steps of a column; 0: so many that `columns_max` are enough */
    uint32_t columns_max; /* 0: HISTORY_COLUMNS_MAX */
    uint32_t fields;      /* bit 1 << field for each that is wanted */
};

struct store_history_layer {
    char *name;
    enum trit_health health;      /* of its newest report in the range */
    uint64_t step;                /* of that report */
    uint8_t *column_health;       /* of each column; TRIT_HEALTH_ABSENT: no report */
    double *values[STORE_FIELDS]; /* of each column; NAN: absent. NULL: not wanted */
};

/* Columns are common to all layers; a column that no layer has a report in is left out. */
struct store_history {
    uint32_t attempt; /* that was read */
    uint64_t every;   /* steps of a column */
    size_t column_count, layer_count;
    uint64_t
        *steps; /* the first step of each column. A column of one step is that step */
    struct store_history_layer *layers; /* in order of names */
    bool has_next;                      /* there are more columns: */
    uint64_t next;                      /* they are read with this as `from` */
};

/* Reads the columns of a query. The caller frees *history with store_history_fini, also
 * after a failure. Where more than HISTORY_EXACT_REPORTS_MAX reports are concerned, a
 * summary that reaches over the edge of a column counts for the column where it begins; it
 * spans at most half of a column. NOT_FOUND: there is no such run. INVALID_ARGUMENT:
 * `attempt`. RESOURCE_EXHAUSTED: the answer is too large. DATA_LOSS. */
struct store_reader;
int store_read_history(struct store_reader *reader,
                       const struct store_history_query *query,
                       struct store_history *history, struct failure *failure);
void store_history_fini(struct store_history *history);

#endif
