/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the 2-bit codes and the scales of a tile in another encoding. A worker calls it;
 * it uses only the tile and its task. */
#ifndef TERNARY_TILE_ENCODE_H
#define TERNARY_TILE_ENCODE_H

#include "services/ternary/tile.h"

/* From tile->codes and tile->held_scales to tile->out, or to tile->flat_codes if the
 * output is interleaved. */
void tile_encode(struct tile *tile, const struct task *task);

#endif
