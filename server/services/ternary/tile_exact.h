/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a tile's groups exactly ternary or not, once its runs are done. Workers
 * call it; it sees nothing but the tile and its task. */
#ifndef TERNARY_TILE_EXACT_H
#define TERNARY_TILE_EXACT_H

#include "services/ternary/tile.h"

/* A scale as the output of a ternarization holds it: rounded to the element type in a
 * dense tensor, to f16 where the encoding keeps f16. */
float scale_as_held(const struct task *task, float scale);

/* Of a ternarization: finds the groups whose scale the output's type holds as 0 or
 * infinity. Where the output is dense, such a group holds zeros: its codes, counts and
 * sums become those of zeros. A packed group keeps its codes and is not exact, unless
 * its unrounded scale is 0 and its codes with it. A group of latents that are not finite
 * is not exact either, with its codes taken for 0. */
void tile_settle_lost(struct tile *tile, const struct task *task);

/* Hashes the bytes of each group that is not exact; see "The digest" in README.md. */
void tile_hash_inexact(struct tile *tile, const struct task *task);

#endif
