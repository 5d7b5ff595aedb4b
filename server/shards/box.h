/* SPDX-License-Identifier: Apache-2.0 */
/* Where a shard lies in its layer: pure arithmetic, no memory.
 *
 * The layer is a matrix: the last axis is its row, all others together count the rows. A
 * shard is a box of whole groups, as tensor parallelism and FSDP along an axis make it. Or
 * it is flat: consecutive elements in row-major order, as FSDP cuts a flattened parameter.
 * A flat shard may begin and end within a row, but not within a group. */
#ifndef SHARDS_BOX_H
#define SHARDS_BOX_H

#include <stdbool.h>

#include "base/status.h"
#include "trit/types.h"

/* What a request says about its tensor. */
struct shard_place {
    uint32_t rank; /* of the tensor */
    const uint64_t *shape;
    uint32_t global_rank; /* of the layer */
    const uint64_t *global_shape, *offset;
    uint32_t group_size;
};

struct shard_box {
    uint32_t rank; /* of the layer */
    uint64_t global[TRIT_RANK_MAX], offset[TRIT_RANK_MAX];
    uint64_t shape[TRIT_RANK_MAX]; /* flat: not used */
    bool flat;
    uint64_t elements; /* of the shard */
    uint64_t first;    /* flat: index of its first element in the layer */
    uint64_t rows, row_len, groups_per_row; /* of the layer */
    uint32_t group_size;
};

/* INVALID_ARGUMENT: the shard does not lie in its layer, or cuts a group; the message says
 * where it may be cut. */
int shard_box_init(struct shard_box *box, const struct shard_place *place,
                   struct failure *failure);

/* The rest is about shards of one layer: their global shapes and group sizes are equal. */
bool shard_boxes_same(const struct shard_box *a, const struct shard_box *b);
bool shard_boxes_overlap(const struct shard_box *a, const struct shard_box *b);

/* How many groups of `row` the shard has from `group` on; 0: it does not have this one. */
uint64_t shard_covers(const struct shard_box *box, uint64_t row, uint64_t group);

/* Index in the layer of the shard's element or group. */
uint64_t shard_element(const struct shard_box *box, uint64_t element);
uint64_t shard_group(const struct shard_box *box, uint64_t group);

/* Groups of the shard. */
uint64_t shard_groups(const struct shard_box *box);

/* Bytes of the 2-bit codes of `count` groups of a row. */
uint64_t shard_code_bytes(const struct shard_box *box, uint64_t group, uint64_t count);

/* Elements of the layer. */
uint64_t shard_layer_elements(const struct shard_box *box);

/* Whether its elements follow each other in the layer without a hole. */
bool shard_is_contiguous(const struct shard_box *box);

/* "offset [0, 128], shape [64, 128]", for messages. */
enum { SHARD_TEXT_BYTES = 2 * (TRIT_RANK_MAX * 22 + 32) };
const char *shard_text(const struct shard_box *box, char text[SHARD_TEXT_BYTES]);
/* "[64, 128]". */
const char *shard_axes(const uint64_t *axes, uint32_t rank, char text[SHARD_TEXT_BYTES]);

#endif
