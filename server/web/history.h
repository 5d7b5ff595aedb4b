/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of a run's layers over its steps, for JSON, heat maps and plots. */
#ifndef WEB_HISTORY_H
#define WEB_HISTORY_H

#include <stdint.h>

#include "web/field.h"

struct store_reader;
struct text;

enum {
    /* Reports that one request reads; a longer history goes on at `next`. */
    HISTORY_REPORTS_MAX = 100000,
    /* Numbers that one request keeps: 8 MiB. */
    HISTORY_CELLS_MAX = 1 << 20,
};

struct history_query {
    const char *run;
    const char *layer;         /* a name, or a pattern with `*` or `?`; "" or NULL: all */
    bool exact;                /* `layer` is a name, whatever its characters */
    uint32_t attempt, replica; /* as in store_query */
    const char *after;         /* only layers behind this one, in byte order; NULL: all */
    uint64_t from, to;         /* inclusive */
    /* One value for each of so many steps, intervals that begin with `from`; 0 or 1: each
     * step. */
    uint64_t every;
    const struct field *const *fields;
    size_t field_count;
    uint32_t layers_max;
    uint64_t
        values_max; /* ends with the layer that brings it to so many; 0: as many as fit */
};

struct history_layer {
    char name[TRIT_NAME_BYTES_MAX + 1];
    uint64_t step;           /* the newest in range */
    enum trit_health health; /* at that step */
    size_t first, rows;      /* its rows in history.row_steps */
};

struct history {
    size_t field_count;
    struct history_layer *layers; /* in byte order of their names */
    size_t layer_count, layer_capacity;
    /* Rows: a step of a layer and its numbers, NaN where one is absent. With `every`, the
     * step is the first of its interval. Intervals begin with `from`. */
    uint64_t *row_steps;
    double *row_values; /* [row * field_count + field] */
    bool *row_damaged;  /* reports in it are damaged in the store, and left out */
    size_t row_count, step_capacity, value_capacity, damaged_capacity;
    uint64_t *steps; /* of all layers, ascending */
    size_t step_count, axis_capacity;
    uint64_t end;  /* the last step that was asked for */
    bool more;     /* layers follow behind the last one */
    bool has_next; /* steps follow, from `next` on */
    uint64_t next;
    bool cut;   /* the only layer has more reports than were read */
    bool exact; /* as in store_history */
};

/* Reads summaries of the store if they have all fields, which costs little however long the
 * history is; otherwise the reports. Zeroed before. -1: RESOURCE_EXHAUSTED or the store's failure; call history_fini in any
 * case. Nothing found is no failure. */
int history_read(struct history *history, struct store_reader *reader,
                 const struct history_query *query, struct failure *failure);
void history_fini(struct history *history);

/* Layers whose newest report is in the range and that are stale now have that health. */
int history_add_staleness(struct history *history, struct store_reader *reader,
                          const struct history_query *query, struct failure *failure);

/* The value of a layer at a step of the axis. `*row` begins with 0 and the steps ascend
 * from call to call. NaN: absent. */
double history_value(const struct history *history, const struct history_layer *layer,
                     size_t *row, uint64_t step, size_t field);

/* The values of a layer on the whole axis: `values` has step_count places. */
void history_values(const struct history *history, const struct history_layer *layer,
                    size_t field, double *values);

/* The mean over the layers at each step: `means` has step_count places, and as many
 * behind them to work in. */
void history_means(const struct history *history, size_t field, double *means);

/* An interval that shows these steps in at most `columns` places. */
uint64_t history_every(uint64_t step_min, uint64_t step_max, uint64_t columns);

/* Of a history that lacks layers, for a sentence about their means: " of the first 20000 layers
 * by name". Nothing if it has all. */
void history_put_part(struct text *text, const struct history *history);

#endif
