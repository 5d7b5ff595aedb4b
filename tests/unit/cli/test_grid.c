/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: columns line up, cells are harmless, lost rows are told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/grid.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"

static const struct grid_column COLUMNS[] = {
    {"name", GRID_LEFT}, {"n", GRID_RIGHT}, {"last", GRID_LEFT}};

/* What grid_print writes; the caller frees it. */
static char *printed(const struct grid *grid)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    CHECK(out);
    CHECK(grid_print(grid, out) == 0);
    fclose(out);
    return text;
}

CASE(lines_up, "columns are as wide as their widest cell, counted in characters")
{
    struct grid *grid = grid_create(COLUMNS, 3);
    char *text;

    grid_cell(grid, "%s", "\xc3\xa9");
    grid_cell(grid, "%d", 12345);
    grid_cell(grid, "%s", "");
    grid_cell(grid, "%s", "longer\n");
    grid_cell(grid, "%d", 7);
    grid_cell(grid, "%s", "z");
    text = printed(grid);
    CHECK_STR(text, "name            n  last\n"
                    "\xc3\xa9           12345\n"
                    "longer\\x0a      7  z\n");
    free(text);
    grid_destroy(grid);
    grid_destroy(NULL);
}

CASE(cuts_long_cells, "a long cell is cut")
{
    struct grid *grid = grid_create(COLUMNS, 1);
    char *text;

    grid_cell(grid, "%1000d", 1);
    text = printed(grid);
    CHECK(strlen(text) < 2 * GRID_CELL_BYTES_MAX);
    free(text);
    grid_destroy(grid);
}

CASE(tells_of_lost_rows, "if memory runs out, no incomplete table is printed")
{
    for (uint64_t n = 1;; n++) {
        struct grid *grid;
        bool hit;

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        grid = grid_create(COLUMNS, 3);
        for (int i = 0; grid && i < 200; i++)
            grid_cell(grid, "%d", i);
        hit = fault_disarm();
        if (grid && hit)
            CHECK(grid_print(grid, stdout) != 0);
        grid_destroy(grid);
        if (!hit) {
            CHECK(n > 200);
            return;
        }
    }
}
