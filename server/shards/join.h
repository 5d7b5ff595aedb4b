/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over the groups of a layer, in their order, in the shards that have them. Pure: the
 * caller has the bytes. */
#ifndef SHARDS_JOIN_H
#define SHARDS_JOIN_H

#include "shards/found.h"
#include "shards/list.h"

/* Calls `take` for one stretch of groups of a row after another, in the order of the layer:
 * `groups` of the shard `part`, which are its next ones. -1: `take` returned that. The
 * shards must cover the layer: INTERNAL if they do not. */
struct shard_walk {
    int (*take)(void *arg, size_t part, uint64_t group, uint64_t groups,
                struct failure *failure); /* group: within the row */
    void *arg;
};
int shard_join(const struct shard_list *list, const struct shard_walk *walk,
               struct failure *failure);

/* ---- what the groups of a shard leave behind ------------------------------------------ */

/* What the report of the layer needs of each group, besides its codes: */
struct shard_group_row {
    float scale;            /* unrounded */
    bool inexact;           /* not exactly ternary: */
    uint8_t hash[32];       /* SHA-256 of its bytes */
    struct group_sums sums; /* if sums are made */
};
enum { SHARD_GROUP_BYTES_MAX = 4 + 1 + 32 + 32, SHARD_GROUP_HEAD_BYTES = 5 };

/* Writes it as 5 bytes, the hash of an inexact group, and the sums. Returns the bytes. */
size_t shard_group_encode(const struct shard_group_row *group, bool has_sums,
                          uint8_t bytes[SHARD_GROUP_BYTES_MAX]);

/* Reads the first 5 bytes. Returns how many more there are. */
size_t shard_group_head(const uint8_t bytes[SHARD_GROUP_HEAD_BYTES], bool has_sums,
                        struct shard_group_row *group);
/* Reads the rest. */
void shard_group_rest(const uint8_t *bytes, bool has_sums, struct shard_group_row *group);

#endif
