/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles that are recycled, so that the steady path allocates none. */
#ifndef TERNARY_TILES_H
#define TERNARY_TILES_H

#include <stddef.h>

#include "base/list.h"

struct blocks;
struct tile;

struct tiles {
    struct list spare; /* without blocks */
    size_t count;
};

void tiles_init(struct tiles *tiles);
void tiles_fini(struct tiles *tiles); /* every tile is back */

/* A zeroed tile; NULL on lack of memory. */
struct tile *tiles_get(struct tiles *tiles);

/* Its blocks go back to `blocks`. */
void tiles_put(struct tiles *tiles, struct tile *tile, struct blocks *blocks);

#endif
