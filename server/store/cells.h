/* SPDX-License-Identifier: Apache-2.0 */
/* A cell summarizes some consecutive reports of a layer: what the history shows of them.
 * A cell of one report has exactly that report's numbers. */
#ifndef STORE_CELLS_H
#define STORE_CELLS_H

#include "store/fields.h"
#include "trit/types.h"

enum { CELL_MEANS = 4 }; /* fields whose values become their mean */

struct cell {
    uint64_t first, last; /* steps */
    uint32_t count;       /* reports; 0: the cell is empty */
    uint32_t state;       /* enum trit_health: the worst; and CELL_DAMAGED */
    uint32_t
        have[CELL_MEANS]; /* reports that have the first such field, the second, ... */
    double values[STORE_FIELDS]; /* NAN: no report has this field */
};

enum { HISTORY_BLOCK = 16 }; /* cells of a full row */
enum { CELL_BYTES = 8 + 8 + 4 + 4 + 4 * CELL_MEANS + 8 * STORE_FIELDS };

/* A bit of `state`: some of its reports are damaged in the store, and count for nothing. */
enum { CELL_DAMAGED = 1 << 8 };

enum trit_health cell_health(const struct cell *cell);

/* Stands for reports from step `first` to step `last` that are damaged: a warning without
 * values. */
void cell_of_damage(struct cell *cell, int64_t first, int64_t last);

/* `drift` is what health_judge returned. */
void cell_of_report(struct cell *cell, const struct trit_report *report, double drift);

/* Adds the reports of `other`, with the fields of `wanted` (1 << field); the others are
 * undefined afterwards. */
enum { CELL_ALL_FIELDS = (1 << STORE_FIELDS) - 1 };
void cell_add(struct cell *cell, const struct cell *other, uint32_t wanted);

/* The worse of two values of the field; one that is NAN is not. */
double cell_worse(enum store_field field, double a, double b);

/* The same bytes on every machine. */
void cells_encode(const struct cell *cells, size_t count, uint8_t *bytes);
void cells_decode(const uint8_t *bytes, size_t count, struct cell *cells);

/* Inserts a cell of one report among cells in order of steps. */
void cells_insert(struct cell *cells, size_t *count, const struct cell *cell);

#endif
