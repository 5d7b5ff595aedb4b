/* SPDX-License-Identifier: Apache-2.0 */
/* Prepares a tile's input for the kernels. A worker calls these functions; they use only
 * the tile and its task. */
#ifndef TERNARY_TILE_READ_H
#define TERNARY_TILE_READ_H

#include "services/ternary/tile.h"

/* Makes tile->trits of the elements [first, first + count) if the task reads them. Call it
 * before the other functions. */
void tile_read_trits(struct tile *tile, const struct task *task, uint64_t first,
                     size_t count);

enum trit_encoding tile_read_encoding(const struct task *task);
const void *tile_read_from(const struct tile *tile, const struct task *task,
                           const struct group_range *range);

/* The separate scales of a range as f32; NULL: there are none. f32 scales are not copied.
 * */
const float *tile_read_scales(struct tile *tile, const struct task *task,
                              const struct group_range *range);

#endif
