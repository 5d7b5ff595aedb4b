/* SPDX-License-Identifier: Apache-2.0 */
/* The computation of a tile. A worker runs it; it uses only the tile and its task. */
#ifndef TERNARY_TILE_COMPUTE_H
#define TERNARY_TILE_COMPUTE_H

#include "services/ternary/tile.h"

/* Fills the results of the tile. After tile_prepare. */
void tile_compute(struct tile *tile, const struct task *task);

#endif
