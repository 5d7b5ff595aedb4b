/* SPDX-License-Identifier: Apache-2.0 */
/* A table for a terminal: rows of cells, columns as wide as their widest cell.
 * Cells are escaped as they come in. Rows are kept until grid_print. */
#ifndef CLI_GRID_H
#define CLI_GRID_H

#include <stddef.h>
#include <stdio.h>

enum { GRID_COLUMNS_MAX = 12, GRID_CELL_BYTES_MAX = 160 };

struct grid_column {
    const char *title;
    enum { GRID_LEFT, GRID_RIGHT } align;
};

struct grid; /* a row of titles, then the added rows */

struct grid *grid_create(const struct grid_column *columns, size_t count); /* borrows */
void grid_destroy(struct grid *grid); /* NULL is harmless */

/* Adds the next cell, row by row; a text that is too long is cut. If memory runs out,
 * grid_print fails. */
void grid_cell(struct grid *grid, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* 0, or -1 when rows were lost for lack of memory (nothing is printed). */
int grid_print(const struct grid *grid, FILE *out);

#endif
