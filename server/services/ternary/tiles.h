/* SPDX-License-Identifier: Apache-2.0 */
/* A free list of tiles, so that a running daemon does not allocate one per tile. */
#ifndef TERNARY_TILES_H
#define TERNARY_TILES_H

#include <stddef.h>

#include "base/list.h"

struct blocks;
struct tile;

struct tiles {
    struct list spare; /* they hold no blocks */
    size_t count;
};

void tiles_init(struct tiles *tiles);
void tiles_fini(struct tiles *tiles); /* after every tile was put back */

/* A zeroed tile, or NULL for lack of memory. */
struct tile *tiles_get(struct tiles *tiles);

/* Takes the tile back and gives its blocks to `blocks`. */
void tiles_put(struct tiles *tiles, struct tile *tile, struct blocks *blocks);

#endif
