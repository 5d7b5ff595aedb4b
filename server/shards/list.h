/* SPDX-License-Identifier: Apache-2.0 */
/* The shards of a layer that have come, in order of arrival, as a list and as bytes. */
#ifndef SHARDS_LIST_H
#define SHARDS_LIST_H

#include "shards/box.h"

/* What a shard was answered: two shards in the same place with equal ones are the same. */
enum { SHARD_ANSWER_BYTES = 40 };

struct shard_entry {
    struct shard_box box;
    uint8_t answer[SHARD_ANSWER_BYTES];
};

struct shard_list {
    struct shard_entry *entries; /* of one layer */
    size_t count, capacity;
};

/* -1: no memory; the list is unchanged. */
int shard_list_add(struct shard_list *list, const struct shard_entry *entry);
void shard_list_fini(struct shard_list *list); /* harmless on a zeroed struct */

/* Elements of all shards. */
uint64_t shard_list_elements(const struct shard_list *list);

/* How many shards the layer has if all are as long as the longest of these along each
 * axis: exact for regular grids whose last shards are shorter. At least the number of these,
 * and at least one more while elements are missing. */
uint64_t shard_list_expected(const struct shard_list *list);

/* A bound of the bytes that shard_list_encode writes. The list is not empty. */
size_t shard_list_bytes_max(const struct shard_list *list);
size_t shard_list_encode(const struct shard_list *list, uint8_t *bytes);

/* Adds the entries to an empty list. -1: no memory, or the bytes are damaged; the list is
 * empty then. */
int shard_list_decode(struct shard_list *list, const uint8_t *bytes, size_t count);

#endif
