/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/grid.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "proto/utf8.h"

struct cell {
    char *text;
    size_t columns; /* of the terminal */
};

struct grid {
    const struct grid_column *columns;
    size_t column_count;
    size_t widths[GRID_COLUMNS_MAX];
    struct cell *cells;
    size_t count, capacity;
    bool incomplete; /* memory ran out */
};

struct grid *grid_create(const struct grid_column *columns, size_t count)
{
    struct grid *grid = calloc(1, sizeof(*grid));

    if (!grid)
        return NULL;
    grid->columns = columns;
    grid->column_count = count;
    for (size_t i = 0; i < count; i++)
        grid_cell(grid, "%s", columns[i].title);
    return grid;
}

void grid_destroy(struct grid *grid)
{
    if (!grid)
        return;
    for (size_t i = 0; i < grid->count; i++)
        free(grid->cells[i].text);
    free(grid->cells);
    free(grid);
}

static struct cell *grid_next(struct grid *grid)
{
    struct cell *cells =
        array_grow(grid->cells, &grid->capacity, grid->count + 1, sizeof(*cells));

    if (!cells)
        return NULL;
    grid->cells = cells;
    return &grid->cells[grid->count];
}

void grid_cell(struct grid *grid, const char *format, ...)
{
    char raw[GRID_CELL_BYTES_MAX], escaped[GRID_CELL_BYTES_MAX];
    size_t column = grid->count % grid->column_count;
    struct cell *cell = grid_next(grid);
    va_list args;

    va_start(args, format);
    vsnprintf(raw, sizeof(raw), format, args);
    va_end(args);
    if (!cell) {
        grid->incomplete = true;
        return;
    }
    cell->columns = utf8_show_text(escaped, sizeof(escaped), raw);
    cell->text = strdup(escaped);
    if (!cell->text) {
        grid->incomplete = true;
        return;
    }
    grid->count++;
    if (cell->columns > grid->widths[column])
        grid->widths[column] = cell->columns;
}

/* Spaces are written just before the next text, so that no line ends in a space. */
static void print_row(const struct grid *grid, const struct cell *row, FILE *out)
{
    size_t spaces = 0;

    for (size_t i = 0; i < grid->column_count; i++) {
        size_t padding = grid->widths[i] - row[i].columns;
        bool right = grid->columns[i].align == GRID_RIGHT;

        spaces += right ? padding : 0;
        if (row[i].columns) {
            fprintf(out, "%*s%s", (int)spaces, "", row[i].text);
            spaces = 0;
        }
        spaces += (right ? 0 : padding) + 2;
    }
    fputc('\n', out);
}

int grid_print(const struct grid *grid, FILE *out)
{
    if (grid->incomplete)
        return -1;
    for (size_t i = 0; i + grid->column_count <= grid->count; i += grid->column_count)
        print_row(grid, &grid->cells[i], out);
    return 0;
}
