/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/tiles.h"

#include <stdlib.h>

#include "services/ternary/tile.h"

enum { SPARE_TILES_MAX = 256 };

void tiles_init(struct tiles *tiles)
{
    *tiles = (struct tiles){.count = 0};
    list_init(&tiles->spare);
}

void tiles_fini(struct tiles *tiles)
{
    struct list *node;

    while ((node = list_pop(&tiles->spare)))
        free(LIST_OWNER(node, struct tile, link));
}

struct tile *tiles_get(struct tiles *tiles)
{
    struct list *node = list_pop(&tiles->spare);
    struct tile *tile;

    if (!node)
        return calloc(1, sizeof(*tile));
    tiles->count--;
    tile = LIST_OWNER(node, struct tile, link);
    *tile = (struct tile){0};
    return tile;
}

void tiles_put(struct tiles *tiles, struct tile *tile, struct blocks *blocks)
{
    tile_release_blocks(tile, blocks);
    if (tiles->count >= SPARE_TILES_MAX) {
        free(tile);
        return;
    }
    list_push(tiles->spare.next,
              &tile->link); /* the next one to go: it is in the cache */
    tiles->count++;
}
