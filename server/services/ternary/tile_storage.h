/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TERNARY_TILE_STORAGE_H
#define TERNARY_TILE_STORAGE_H

#include "services/ternary/tile.h"

/* Fills tile->storage of a tile that was verified or packed. */
void tile_check_storage(struct tile *tile, const struct task *task);

#endif
