/* SPDX-License-Identifier: Apache-2.0 */
/* Which groups of a tile are exactly ternary, found after their kernels have run.
 * Workers call these functions; they use only the tile and its task. */
#ifndef TERNARY_TILE_EXACT_H
#define TERNARY_TILE_EXACT_H

#include "services/ternary/tile.h"

/* A scale as a reader of the output finds it. */
float scale_as_held(const struct task *task, float scale);

/* Copies scales of a tile, from `group` on, as a reader of the output finds them: at most
 * `max`. Returns how many. A ternarization rounds them to the element type in a dense
 * tensor, to f16 where the encoding has f16 scales. */
size_t tile_scales_held(const struct tile *tile, const struct task *task, uint64_t group,
                        float *held, size_t max);

/* For a ternarization. Finds the groups whose scale the output stores as 0 or infinity,
 * and counts them as lost.
 * - In a dense output such a group is stored as zeros, so its codes, counts and sums
 *   become those of zeros.
 * - In a packed output it keeps its codes and is marked inexact. If its scale is 0 in f32
 *   already, it is stored as zeros, which is exact.
 * Groups with a NaN or infinity are marked inexact, and their codes become zeros. */
void tile_mark_lost(struct tile *tile, const struct task *task);

/* Hashes the bytes of each inexact group; see "The digest" in README.md. */
void tile_hash_inexact(struct tile *tile, const struct task *task);

#endif
