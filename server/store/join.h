/* SPDX-License-Identifier: Apache-2.0 */
/* Joins the shards of a layer, inside the batch's transaction. */
#ifndef STORE_JOIN_H
#define STORE_JOIN_H

#include "store/codes.h"
#include "store/counters.h"
#include "store/store.h"
#include "store/waiting.h"

/* What waits, with the shard that makes it complete, and the codes and scales of the
 * layer. */
struct join {
    struct db *db;
    struct counters *next;
    struct store_shard *shard;
    const struct waiting *waiting; /* its list has the last shard too */
    int64_t upload, groups;        /* uploads of the last shard */
    struct codes *codes, *scales;  /* out */
};

/* Makes the report of the layer, and writes its codes and scales. -1 with
 * RESOURCE_EXHAUSTED: no memory. DATA_LOSS: a row is damaged. Only codes are written. */
int join_shards(struct join *join, struct trit_report *report, struct failure *failure);

#endif
