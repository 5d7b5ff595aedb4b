/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernels read of a tile's input. A worker calls these functions; they use only
 * the tile and its task. */
#ifndef TERNARY_TILE_READ_H
#define TERNARY_TILE_READ_H

#include "services/ternary/tile.h"

/* Makes tile->trits, if the task reads them. Before the other functions. */
void tile_read_trits(struct tile *tile, const struct task *task);

enum trit_encoding tile_read_encoding(const struct task *task);
const void *tile_read_from(const struct tile *tile, const struct task *task,
                           const struct group_range *range);

/* The scales of a range that are apart from the data, as f32; NULL: there are none. f32
 * scales are used where they are. */
const float *tile_read_scales(struct tile *tile, const struct task *task,
                              const struct group_range *range);

#endif
