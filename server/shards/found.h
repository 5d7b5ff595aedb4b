/* SPDX-License-Identifier: Apache-2.0 */
/* What was found in a shard, in a form that can be stored, and how it adds up to what is
 * found in the whole layer. Counts are integers, and of two first occurrences the earlier
 * one in the layer is the first. So the sum does not depend on the order of shards. What
 * does depend on an order (digest, sums of floats) is made by a walk over the groups of
 * the layer (join.h). */
#ifndef SHARDS_FOUND_H
#define SHARDS_FOUND_H

#include "kernels/kernels.h"
#include "shards/box.h"

/* What all shards of a layer must have in common. */
enum shard_term {
    SHARD_METHOD,
    SHARD_MODE,
    SHARD_DTYPE,
    SHARD_GROUP_SIZE,
    SHARD_PARTIAL,
    SHARD_ENCODING,     /* of the tensor that came */
    SHARD_SCALES_DTYPE, /* of its scales */
    SHARD_OUTPUT,       /* encoding of the reply; 0 without one */
    SHARD_DETAIL,       /* whether sums were made */
    SHARD_TOLERANCE,    /* the bits of the float */
    SHARD_REFERENCE,    /* dtype of the reference; 0: none */
    SHARD_TERMS,
};

struct shard_found {
    struct ternary_counts counts;
    struct ternary_check check;
    /* Where the values of check.samples and check.near occur first: the row in the shard,
     * of the whole: index of the element at which the shard's row begins. Values of one row
     * are in order. */
    uint64_t sample_rows[TRIT_SAMPLES_MAX], near_rows[TRIT_SAMPLES_MAX];
    struct occurrences lost, rounded; /* groups; as in the merge of tiles */
    struct occurrences subnormal, non_canonical;
    float lost_scale, first_subnormal;
    uint8_t first_byte;
};

void shard_found_init(struct shard_found *found);

/* Adds what was found in the shard to what was found in the layer. */
void shard_found_add(struct shard_found *layer, const struct shard_box *box,
                     const struct shard_found *shard);

/* ---- at rest ---------------------------------------------------------------------- */

struct shard_state {
    uint64_t terms[SHARD_TERMS];
    struct shard_box box;
    struct shard_found found;
};

enum { SHARD_STATE_BYTES_MAX = 2048 };

size_t shard_state_encode(const struct shard_state *state,
                          uint8_t bytes[SHARD_STATE_BYTES_MAX]);
/* -1: the bytes are of another version, or damaged. */
int shard_state_decode(const uint8_t *bytes, size_t count, struct shard_state *state);

/* Whether a shard can join others. FAILED_PRECONDITION: they differ in something that all
 * shards have in common; the message names it and both values. */
int shard_state_agrees(const struct shard_state *first, const struct shard_state *shard,
                       struct failure *failure);

#endif
