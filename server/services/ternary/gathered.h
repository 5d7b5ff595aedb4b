/* SPDX-License-Identifier: Apache-2.0 */
/* Packing a tensor into an encoding with one scale, whose input comes in pieces of at most
 * 65,536 elements. Each is read when it is complete: its nonzero groups must have the scale of
 * those before. Only codes, and a scale for each group, are kept, in memory of the caller.
 * After the last piece the tile of the tensor gets them, and writes the output. */
#ifndef TERNARY_GATHERED_H
#define TERNARY_GATHERED_H

#include "services/ternary/tile_pack.h"

struct gathered {
    struct task task;    /* of a piece */
    struct tile tile;    /* the piece */
    uint64_t next_group; /* where it begins */
    uint64_t next_element;
    struct shared_scale shared;
    size_t code_bytes; /* of the pieces before */
    uint64_t groups;
    /* what was found in them */
    struct ternary_counts counts;
    struct ternary_check check;
    struct storage_check storage;
};

/* Of a task that gathers. The tile's span is that of the first piece. */
void gathered_init(struct gathered *gathered, const struct task *task);

/* Bytes of the codes and of the scales of all pieces. */
size_t gathered_code_bytes(const struct gathered *gathered);
size_t gathered_scale_bytes(const struct gathered *gathered);

/* Where the piece's codes and scales belong among those of all pieces, in bytes. */
struct gathered_place {
    size_t codes_at, codes, scales_at, scales;
};
struct gathered_place gathered_place(const struct gathered *gathered);

/* After tile_pack_piece of the tile without a misfit: keeps what was found, and makes the
 * tile's span that of the next piece. `codes` and `scales` are those of all pieces. */
void gathered_keep(struct gathered *gathered, uint8_t *codes, uint8_t *scales);

bool gathered_all(const struct gathered *gathered); /* that was the last piece */

/* Gives the tile of the tensor, which was prepared, what the pieces have; its input is their
 * codes. tile_compute then writes the output. */
void gathered_finish(const struct gathered *gathered, const uint8_t *scales,
                     struct tile *tile);

#endif
