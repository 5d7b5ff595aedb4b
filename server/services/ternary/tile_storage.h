/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TERNARY_TILE_STORAGE_H
#define TERNARY_TILE_STORAGE_H

#include "services/ternary/tile.h"

/* Of a tile that was verified, or packed: fills tile->storage. */
void tile_check_storage(struct tile *tile, const struct task *task);

#endif
