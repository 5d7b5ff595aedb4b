/* SPDX-License-Identifier: Apache-2.0 */
/* Commits one shard, inside the batch's transaction: it waits for others, or it is the last
 * one, and the report of the layer is made and committed. */
#ifndef STORE_COMMIT_SHARD_H
#define STORE_COMMIT_SHARD_H

#include "store/commit.h"

/* As commit_report; `groups` in place of scales. Also COMMIT_WAITS. COMMIT_NEW: the layer
 * has its report. */
int commit_shard(struct db *db, const struct kernels *kernels, struct counters *next,
                 const struct health_rules *rules, struct store_put *put,
                 struct codes *codes, struct codes *groups, enum commit_outcome *outcome,
                 struct failure *failure);

#endif
