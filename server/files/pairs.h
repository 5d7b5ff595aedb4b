/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata of several shards in one table. */
#ifndef FILES_PAIRS_H
#define FILES_PAIRS_H

#include "files/table.h"

struct json_t;

/* Adds the pairs of a shard's table that are not in `seen`, an object of key and values, and
 * notes them there. */
int pairs_merge(struct tensor_table *table, struct json_t *seen, size_t shard,
                const struct tensor_table *from, struct failure *failure);

#endif
