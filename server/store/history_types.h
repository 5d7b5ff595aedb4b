/* SPDX-License-Identifier: Apache-2.0 */
/* What the history is asked, and what it answers. */
#ifndef STORE_HISTORY_TYPES_H
#define STORE_HISTORY_TYPES_H

#include <stdbool.h>
#include <stddef.h>

#include "store/fields.h"
#include "trit/types.h"

enum {
    HISTORY_COLUMNS_MAX = 2048,          /* of one answer; more are for the next one */
    HISTORY_VALUES_MAX = 8 << 20,        /* of one answer; RESOURCE_EXHAUSTED */
    HISTORY_EXACT_REPORTS_MAX = 1 << 18, /* so many are summarized to the very step */
    HISTORY_SUMMARIES_MAX = 5 << 17,     /* that one answer reads, with `values_max` */
};

struct store_history_query {
    const char *run;
    uint32_t attempt; /* 0: the newest, with what it resumed from */
    uint32_t replica;
    const char *layer; /* a shell pattern; NULL or empty: all layers */
    uint64_t from, to; /* steps, inclusive; 0 and UINT64_MAX: all */
    /* Steps of a column; columns begin with `from`. 0: so many that `columns_max` are
     * enough, and columns begin with the first step that is found. */
    uint64_t every;
    uint32_t columns_max; /* 0: HISTORY_COLUMNS_MAX */
    uint32_t fields;      /* bit 1 << field for each that is wanted */
    const char *after;    /* only layers behind this one, in order; NULL: all */
    /* An answer ends with the layer that brings it to so many values, or to
     * HISTORY_SUMMARIES_MAX summaries; `more` says so. 0: it has all layers, or fails. */
    uint64_t values_max;
    uint64_t exact_max; /* reports; 0: HISTORY_EXACT_REPORTS_MAX */
};

struct store_history_layer {
    char *name;
    enum trit_health health; /* of its newest report in the range */
    uint64_t step;           /* of that report */
    uint8_t *column_health;  /* of each column; TRIT_HEALTH_ABSENT: no report */
    bool *damaged; /* of each column: whether reports in it are damaged, and left out */
    double *values[STORE_FIELDS]; /* of each column; NAN: absent. NULL: not wanted */
};

/* Columns are common to all layers; a column that no layer has a report in is left out. */
struct store_history {
    uint32_t attempt; /* that was read */
    uint64_t every;   /* steps of a column */
    /* Each report counts in its column. False: summaries were read, which may reach over the
     * edge of a column. */
    bool exact;
    size_t column_count, layer_count;
    uint64_t
        *steps; /* the first step of each column. A column of one step is that step */
    struct store_history_layer *layers; /* in order of names */
    bool more;                          /* layers follow behind the last one */
    bool has_next;                      /* there are more columns: */
    uint64_t next;                      /* they are read with this as `from` */
};

#endif
