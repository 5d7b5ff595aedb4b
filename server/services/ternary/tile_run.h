/* SPDX-License-Identifier: Apache-2.0 */
/* A tile's work, on a worker: it sees the tile and its task and nothing else. */
#ifndef TERNARY_TILE_RUN_H
#define TERNARY_TILE_RUN_H

#include "services/ternary/tile.h"

/* Fills the results. */
void tile_run(struct tile *tile, const struct task *task);

#endif
