/* SPDX-License-Identifier: Apache-2.0 */
/* Packs a tile that is already ternary; its codes and scales are kept. A worker calls
 * these functions; they use only the tile and its task. */
#ifndef TERNARY_TILE_PACK_H
#define TERNARY_TILE_PACK_H

#include "services/ternary/tile.h"

/* The one scale of several units or groups. Those that are all zero fit any scale. */
struct shared_scale {
    bool known;   /* that of a unit that is not all zero */
    bool guessed; /* that of a unit that is all zero */
    float scale;
};

/* INVALID_ARGUMENT: groups that share a block of the source are no whole bytes, so their codes
 * would share a byte. `field` names the group size. */
int tile_pack_check_groups(const struct plan *plan, const char *field,
                           struct failure *failure);

/* Reads the codes and scales of a range, and counts. After tile_read_trits. */
void tile_pack_read(struct tile *tile, const struct task *task,
                    const struct group_range *range);

/* Call it after all ranges. Finds the scale of each group in the output, in
 * tile->held_scales, or the first group that does not fit, in tile->misfit. Then writes
 * the output except for separate scales; for an interleaved output it writes flat_codes
 * instead. Of a task that gathers, the scales are known; it only writes. */
void tile_pack_write(struct tile *tile, const struct task *task);

/* Reads a piece of a tensor whose output has one scale: codes, scales and counts, or, in
 * tile->misfit, the first group that does not fit. `shared` is zeroed before the first
 * piece. The tile's span is the piece; the task has no output. */
void tile_pack_piece(struct tile *tile, const struct task *task,
                     struct shared_scale *shared);

#endif
