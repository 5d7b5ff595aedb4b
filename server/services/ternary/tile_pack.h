/* SPDX-License-Identifier: Apache-2.0 */
/* Packs a tile that is ternary already: codes and scales are taken over as they are. A
 * worker calls these functions; they use only the tile and its task. */
#ifndef TERNARY_TILE_PACK_H
#define TERNARY_TILE_PACK_H

#include "services/ternary/tile.h"

/* Reads the codes and scales of a range, and counts. After tile_read_trits. */
void tile_pack_read(struct tile *tile, const struct task *task,
                    const struct group_range *range);

/* After all ranges. Finds the scale that the output holds for each group, in
 * tile->held_scales, or the first group that does not fit, in tile->misfit. Then writes
 * the output, but for the scales that are apart from it, and flat_codes in place of an
 * interleaved output. */
void tile_pack_write(struct tile *tile, const struct task *task);

#endif
