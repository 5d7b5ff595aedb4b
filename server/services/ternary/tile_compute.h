/* SPDX-License-Identifier: Apache-2.0 */
/* The computation of a tile. A worker runs it; it uses only the tile and its task. */
#ifndef TERNARY_TILE_COMPUTE_H
#define TERNARY_TILE_COMPUTE_H

#include "services/ternary/tile.h"

/* Projects groups of the tile whose latents are at `in`. After tile_prepare. */
void tile_ternarize(struct tile *tile, const struct task *task,
                    const struct group_range *range, const uint8_t *in);

/* Fills the results of the tile. After tile_prepare; of a direct one, after all its groups
 * are projected. */
void tile_compute(struct tile *tile, const struct task *task);

#endif
