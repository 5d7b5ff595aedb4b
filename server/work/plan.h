/* SPDX-License-Identifier: Apache-2.0 */
/* How a tensor is cut into tiles: pure arithmetic, no memory. A tile is a sequence of
 * whole groups in row-major order, possibly across rows. The cut depends only on the
 * spec, so results do not depend on how bytes arrive. */
#ifndef WORK_PLAN_H
#define WORK_PLAN_H

#include "base/status.h"
#include "trit/types.h"

enum {
    TILE_ELEMENTS_MAX = 65536, /* = GROUP_SIZE_MAX, so that a group always fits */
    TILE_WIDE_ELEMENTS_MAX = 2 * TILE_ELEMENTS_MAX, /* of a tile with `wide_tiles` */
    TILE_GROUPS_MAX = 4096,
    TILE_IN_BYTES_MAX = TILE_ELEMENTS_MAX * 4,
};

struct plan_spec {
    enum trit_dtype dtype; /* of dense elements, input or output */
    uint32_t rank;
    uint64_t shape[TRIT_RANK_MAX];
    uint32_t group_size; /* 0 = GROUP_SIZE_DEFAULT */
    enum trit_partial_group partial;
    enum trit_encoding in;
    enum trit_dtype in_scales_dtype; /* of separate scales of the input: F32, F16 or
                                        BF16; UNSPECIFIED: that of the encoding */
    enum trit_encoding out;          /* ignored without has_out */
    bool has_out;
    /* Each encoding keeps the scales of its own blocks, or its one scale, whatever
     * group_size is. */
    bool regroups;
    /* Tiles may be twice as large if no element takes more than 2 bytes. */
    bool wide_tiles;
};

struct plan {
    struct plan_spec spec; /* group_size filled in */
    /* The tensor is one tile, because it has one scale: it is one row and one group. With
     * `regroups`, the groups are those of the input if it has several; and a tensor whose
     * output has several is cut into tiles. */
    bool whole;
    bool by_rows; /* no range crosses rows; set it after plan_init */
    uint64_t elements, rows, row_len;
    uint64_t groups, groups_per_row;
    uint32_t tail_len; /* of a row's last group; group_size if that is full */
    uint32_t tail_divisor;
    uint64_t tile_groups; /* groups of every tile but the last */
    uint64_t tiles;
    uint64_t piece_groups;    /* of every piece but the last (plan_piece) */
    uint64_t in_bytes;        /* of the whole tensor's data */
    uint64_t out_bytes;       /* 0 without has_out */
    uint64_t in_scale_bytes;  /* of the separate scales expected, or 0 */
    uint64_t out_scale_bytes; /* of the separate scales produced, or 0 */
};

/* Whether plan_init gives the same plan for both; of a valid rank. */
bool plan_spec_equal(const struct plan_spec *a, const struct plan_spec *b);

/* Whether the input's or the output's encoding has one scale for the tensor. Then the
 * tensor is one group of at most WHOLE_ELEMENTS_MAX elements; group_size must be 0. */
bool plan_is_whole(const struct plan_spec *spec);

/* The type of the separate scales of the input; UNSPECIFIED: there are none. */
enum trit_dtype plan_in_scales_dtype(const struct plan_spec *spec);

/* Validates the spec and fills the plan. INVALID_ARGUMENT: the message names the field
 * and its value. *plan is unchanged on failure. */
int plan_init(struct plan *plan, const struct plan_spec *spec, struct failure *failure);

struct tile_span {
    uint64_t index;
    uint64_t first_group, groups;
    uint64_t first_element, elements;
    uint64_t in_offset, in_bytes; /* of the tensor's data */
    uint64_t out_offset, out_bytes;
    uint64_t code_bytes; /* of the groups' 2-bit codes */
};

/* The tile at `index` < plan->tiles. */
void plan_tile(const struct plan *plan, uint64_t index, struct tile_span *span);

/* A part of a tensor that is one tile of several groups: from `first_group` on, as many
 * groups as a tile would have if there were several. Its index is 0. */
void plan_piece(const struct plan *plan, uint64_t first_group, struct tile_span *span);

/* Gives the ranges of equally long groups of a tile, one after another. Call it first
 * with *at = 0, then until it returns false. */
struct group_range {
    uint64_t first_group; /* within the tile */
    uint64_t count;
    uint32_t group_len, divisor;
    uint64_t element;                            /* offset within the tile */
    uint64_t in_offset, out_offset, code_offset; /* bytes within the tile */
};
bool plan_next_range(const struct plan *plan, const struct tile_span *span, uint64_t *at,
                     struct group_range *range);

#endif
