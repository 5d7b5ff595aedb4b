/* SPDX-License-Identifier: Apache-2.0 */
/* A row of `history`: some cells of one level. */
#ifndef STORE_BLOCK_H
#define STORE_BLOCK_H

#include "store/cells.h"
#include "store/row.h"

enum {
    /* Older reports make a row longer, until it is cut in two. */
    HISTORY_BLOCK_MAX = 2 * HISTORY_BLOCK,
};

struct block {
    int64_t last;     /* the last step in it; with the level its key */
    int64_t previous; /* `last` of the row before it at its level, or STEP_NONE */
    size_t count;
    struct cell cells[HISTORY_BLOCK_MAX];
};

/* Goes on with `crc` over a key. */
uint32_t key_crc(uint32_t crc, const struct layer_key *key);

/* A statement that gives the rows of a level whose last step is `from` or above, in order.
 * The caller resets it. NULL: failure. */
sqlite3_stmt *blocks_from(struct db *db, const struct layer_key *key, unsigned level,
                          int64_t from, struct failure *failure);
/* The next row: 1, 0 or -1. */
int block_next(struct db *db, sqlite3_stmt *select, const struct layer_key *key,
               unsigned level, struct block *block, struct failure *failure);

/* The first row whose last step is `from` or above. A missing one is DATA_LOSS. */
int block_find(struct db *db, const struct layer_key *key, unsigned level, int64_t from,
               struct block *block, struct failure *failure);

int block_insert(struct db *db, const struct layer_key *key, unsigned level,
                 const struct block *block, struct failure *failure);
/* Replaces the row whose last step was `old`. */
int block_update(struct db *db, const struct layer_key *key, unsigned level, int64_t old,
                 const struct block *block, struct failure *failure);

#endif
