/* SPDX-License-Identifier: Apache-2.0 */
/* Adding cells, walking over them, dropping old ones. */
#include "store/levels.h"

#include <string.h>

#include "store/block.h"
#include "store/statements.h"

/* ---- adding in order ---------------------------------------------------------------- */

/* Appends every four of HISTORY_BLOCK cells as one to the level's last row. When that is
 * full, the same happens to its cells one level up. */
static int promote(struct db *db, struct past_row *row, unsigned level,
                   const struct cell *cells, struct failure *failure)
{
    struct block block = {.previous = row->closed[level]};
    const int64_t old = row->closed[level];
    const bool is_new = row->filled[level] == 0 || row->filled[level] == HISTORY_BLOCK;

    if (!is_new && block_find(db, &row->key, level, old, &block, failure))
        return -1;
    for (size_t i = 0; i < HISTORY_BLOCK; i += HISTORY_FAN) {
        struct cell *sum = &block.cells[block.count++];

        *sum = cells[i];
        for (size_t j = 1; j < HISTORY_FAN; j++)
            cell_add(sum, &cells[i + j], CELL_ALL_FIELDS);
    }
    block.last = (int64_t)block.cells[block.count - 1].last;
    if (is_new ? block_insert(db, &row->key, level, &block, failure)
               : block_update(db, &row->key, level, old, &block, failure))
        return -1;
    row->closed[level] = block.last;
    row->filled[level] = (uint8_t)block.count;
    if (block.count < HISTORY_BLOCK || level + 1 == HISTORY_LEVELS)
        return 0;
    return promote(db, row, level + 1, block.cells, failure);
}

static int close_open(struct db *db, struct past_row *row, struct failure *failure)
{
    struct block block = {.previous = row->closed[0], .count = row->open_count};

    memcpy(block.cells, row->open, row->open_count * sizeof(row->open[0]));
    block.last = (int64_t)block.cells[block.count - 1].last;
    if (block_insert(db, &row->key, 0, &block, failure))
        return -1;
    row->closed[0] = block.last;
    row->open_count = 0;
    return promote(db, row, 1, block.cells, failure);
}

/* ---- adding an older report --------------------------------------------------------- */

static int split(struct db *db, const struct layer_key *key, struct block *block,
                 struct failure *failure)
{
    struct block low = {.previous = block->previous, .count = block->count / 2};

    memcpy(low.cells, block->cells, low.count * sizeof(low.cells[0]));
    low.last = (int64_t)low.cells[low.count - 1].last;
    block->count -= low.count;
    memmove(block->cells, block->cells + low.count, block->count * sizeof(low.cells[0]));
    block->previous = low.last;
    return block_insert(db, key, 0, &low, failure);
}

static int insert_point(struct db *db, const struct layer_key *key,
                        const struct cell *cell, struct failure *failure)
{
    struct block block;

    if (block_find(db, key, 0, (int64_t)cell->first, &block, failure))
        return -1;
    if (block.count == HISTORY_BLOCK_MAX) {
        if (split(db, key, &block, failure) ||
            block_update(db, key, 0, block.last, &block, failure) ||
            block_find(db, key, 0, (int64_t)cell->first, &block, failure))
            return -1;
    }
    cells_insert(block.cells, &block.count, cell);
    return block_update(db, key, 0, block.last, &block, failure);
}

static int merge_point(struct db *db, const struct layer_key *key, unsigned level,
                       const struct cell *cell, struct failure *failure)
{
    struct block block;
    size_t at = 0;

    if (block_find(db, key, level, (int64_t)cell->first, &block, failure))
        return -1;
    while (block.cells[at].last < cell->first)
        at++;
    cell_add(&block.cells[at], cell, CELL_ALL_FIELDS);
    return block_update(db, key, level, block.last, &block, failure);
}

int history_add(struct db *db, struct past_row *row, const struct cell *cell,
                struct failure *failure)
{
    const int64_t step = (int64_t)cell->first;

    /* Not as soon as it is full: the newest report's cell is always an open one. */
    if (row->open_count == HISTORY_BLOCK && close_open(db, row, failure))
        return -1;
    if (step > row->closed[0]) {
        size_t count = row->open_count;

        cells_insert(row->open, &count, cell);
        row->open_count = (uint8_t)count;
        return 0;
    }
    if (insert_point(db, &row->key, cell, failure))
        return -1;
    for (unsigned level = 1; level < HISTORY_LEVELS && step <= row->closed[level];
         level++)
        if (merge_point(db, &row->key, level, cell, failure))
            return -1;
    return 0;
}

/* ---- walking ------------------------------------------------------------------------ */

static int lost(struct failure *failure)
{
    return fail(failure, TRIT_DATA_LOSS, NULL, "a row of the history is missing");
}

/* Cells that are only partly in the range: at most the first and the last. */
struct edges {
    struct cell cells[2];
    size_t count;
};

static int visit_block(const struct history_walk *walk, const struct block *block,
                       struct edges *edges, struct failure *failure)
{
    for (size_t i = 0; i < block->count; i++) {
        const struct cell *cell = &block->cells[i];
        const int64_t first = (int64_t)cell->first, last = (int64_t)cell->last;

        if (last < walk->from || first > walk->to)
            continue;
        if (first >= walk->from && last <= walk->to) {
            if (walk->visit(walk->arg, cell, failure))
                return -1;
        } else if (edges->count < 2) {
            edges->cells[edges->count++] = *cell;
        } else {
            return lost(failure);
        }
    }
    return 0;
}

/* Walks over the rows of the level; they reach up to row->closed[level]. */
static int walk_level(struct db *db, const struct history_walk *walk, struct edges *edges,
                      struct failure *failure)
{
    const struct past_row *row = walk->row;
    const int64_t end = row->closed[walk->level];
    int64_t before = STEP_NONE;
    struct block block;
    int found = 0;

    if (end < walk->from)
        return 0;
    sqlite3_stmt *select = blocks_from(db, &row->key, walk->level, walk->from, failure);

    if (!select)
        return -1;
    while ((found = block_next(db, select, &row->key, walk->level, &block, failure)) ==
           1) {
        if (before == STEP_NONE ? block.previous >= walk->from
                                : block.previous != before) {
            found = lost(failure);
            break;
        }
        if (block.previous == STEP_NONE && (int64_t)block.cells[0].first > walk->from) {
            found = lost(failure);
            break;
        }
        before = block.last;
        if (visit_block(walk, &block, edges, failure)) {
            found = -1;
            break;
        }
        if (block.last >= walk->to)
            break;
    }
    db_reset(select);
    if (found == 0 && before != end)
        return lost(failure);
    return found < 0 ? -1 : 0;
}

/* All levels from `walk->level` down, then the open cells. */
int history_walk(struct db *db, const struct history_walk *given, struct failure *failure)
{
    struct history_walk walk = *given;
    const struct past_row *row = walk.row;

    for (walk.level = given->level + 1; walk.level-- > 0;) {
        struct edges edges = {.count = 0};

        if (walk.from > walk.to)
            return 0;
        if (walk_level(db, &walk, &edges, failure))
            return -1;
        for (size_t i = 0; i < edges.count; i++) {
            struct history_walk part = walk;

            part.level = 0;
            if ((int64_t)edges.cells[i].first > part.from)
                part.from = (int64_t)edges.cells[i].first;
            if ((int64_t)edges.cells[i].last < part.to)
                part.to = (int64_t)edges.cells[i].last;
            if (walk_level(db, &part, &(struct edges){.count = 0}, failure))
                return -1;
        }
        if (row->closed[walk.level] >= walk.from)
            walk.from = row->closed[walk.level] + 1;
    }
    if (row->closed[0] == STEP_NONE && row->open_count > 0 &&
        (int64_t)row->open[0].first > walk.from)
        return lost(failure);
    for (size_t i = 0; i < row->open_count; i++)
        if ((int64_t)row->open[i].first >= walk.from &&
            (int64_t)row->open[i].first <= walk.to &&
            walk.visit(walk.arg, &row->open[i], failure))
            return -1;
    return 0;
}

/* ---- dropping ----------------------------------------------------------------------- */

int history_reaches_below(struct db *db, const struct past_row *row, int64_t step_min,
                          struct failure *failure)
{
    struct block block;

    if (row->open_count > 0 && (int64_t)row->open[0].first < step_min)
        return 1;
    if (row->closed[0] < step_min)
        return row->closed[0] != STEP_NONE;
    if (block_find(db, &row->key, 0, step_min, &block, failure))
        return -1;
    return block.previous != STEP_NONE || (int64_t)block.cells[0].first < step_min;
}

int history_trim(struct db *db, const struct layer_key *key, int64_t step_min,
                 struct failure *failure)
{
    for (unsigned level = 0; level < HISTORY_LEVELS; level++) {
        sqlite3_stmt *trim = statement(db, ST_HISTORY_TRIM, failure);

        if (!trim)
            return -1;
        int bound = bind_key(trim, 1, key) | db_bind_i64(trim, 5, level) |
                    db_bind_i64(trim, 6, step_min);

        if (db_run_bound(db, trim, bound, failure))
            return -1;
        /* Higher levels reach no further than this one. */
        if (sqlite3_changes(db->sqlite) == 0)
            break;
    }
    return 0;
}

static int ignore_cell(void *arg, const struct cell *cell, struct failure *failure)
{
    (void)arg;
    (void)cell;
    (void)failure;
    return 0;
}

int history_check(struct db *db, const struct past_row *row, int64_t step_min,
                  struct failure *failure)
{
    for (unsigned level = 0; level < HISTORY_LEVELS; level++) {
        const struct history_walk walk = {.row = row,
                                          .level = level,
                                          .from = step_min,
                                          .to = INT64_MAX,
                                          .visit = ignore_cell};
        struct edges edges = {.count = 0};

        if (walk_level(db, &walk, &edges, failure))
            return -1;
    }
    return 0;
}
