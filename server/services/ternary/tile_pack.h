/* SPDX-License-Identifier: Apache-2.0 */
/* Packs a tile that is already ternary; its codes and scales are kept. A worker calls
 * these functions; they use only the tile and its task. */
#ifndef TERNARY_TILE_PACK_H
#define TERNARY_TILE_PACK_H

#include "services/ternary/tile.h"

/* Reads the codes and scales of a range, and counts. After tile_read_trits. */
void tile_pack_read(struct tile *tile, const struct task *task,
                    const struct group_range *range);

/* Call it after all ranges. Finds the scale of each group in the output, in
 * tile->held_scales, or the first group that does not fit, in tile->misfit. Then writes
 * the output except for separate scales; for an interleaved output it writes flat_codes
 * instead. */
void tile_pack_write(struct tile *tile, const struct task *task);

#endif
