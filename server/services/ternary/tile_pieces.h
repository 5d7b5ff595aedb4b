/* SPDX-License-Identifier: Apache-2.0 */
/* A tensor with one scale is one group. Its dense side need not be in memory: it is
 * computed piece by piece, and the results are those of the group (kernels/lanes.h).
 * The codes, 2 bits an element, are in memory. */
#ifndef TERNARY_TILE_PIECES_H
#define TERNARY_TILE_PIECES_H

#include "kernels/lanes.h"
#include "services/ternary/tile.h"

enum { PIECE_ELEMENTS = TILE_ELEMENTS_MAX }; /* of all pieces but the last */

/* Zeroed: no piece yet. */
struct pieces {
    struct magnitude_lanes magnitudes;
    float scale; /* of the projection, once every piece is measured */
    struct sum_lanes sums;
    float claim_scale;
    bool inexact;
};

/* Elements [first, first + count) of the tensor. */
struct piece_of {
    uint64_t first;
    size_t count;
    const uint8_t *latents; /* of these elements; NULL: a claim without a reference */
};

/* The first time: sums for the scale. pieces_measured finds it. */
void pieces_measure(struct pieces *pieces, const struct task *task,
                    const struct piece_of *piece);
void pieces_measured(struct pieces *pieces, const struct task *task);

/* The second time: codes and counts. Fills the tile's results, after tile_prepare. */
void pieces_project(struct pieces *pieces, struct tile *tile, const struct task *task,
                    const struct piece_of *piece);
void pieces_verify(struct pieces *pieces, struct tile *tile, const struct task *task,
                   const struct piece_of *piece);

/* After the last piece: what belongs to the group. */
void pieces_end(const struct pieces *pieces, struct tile *tile, const struct task *task);

/* The pieces of one group have each counted its scale: counts it once. */
void pieces_count_once(struct tile *tile);

/* All of a claim without a reference. */
void tile_verify_pieces(struct tile *tile, const struct task *task);

#endif
