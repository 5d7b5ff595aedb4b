/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a layer that comes in shards. A call with a shard reports on its own tensor.
 * What the report of the layer needs besides goes to the store with the shard: what was
 * found, and what each group leaves behind. When the last shard has come, the store calls
 * back, and the merge of the whole layer is made as the tiles of one call make it. */
#ifndef TERNARY_SHARD_REPORT_H
#define TERNARY_SHARD_REPORT_H

#include "services/ternary/merge.h"
#include "store/store.h"

enum { SHARD_SCALES_HELD = 256 }; /* hashed together */

struct shard_report {
    struct store_shard store; /* borrowed by the put */
    struct task task;         /* at commit: of the shard; from begin() on: of the layer */
    struct merge merge;       /* of the layer */
    float held[SHARD_SCALES_HELD];
    size_t held_count;
};

/* Checks the shard that the report names, for a tensor of this plan. INVALID_ARGUMENT: it
 * does not lie in its layer, cuts a group, or has a scale that only the whole tensor gives.
 * RESOURCE_EXHAUSTED: no memory. Then *shard stays NULL. free() frees it. */
int shard_report_create(struct shard_report **shard, const struct trit_report *report,
                        const struct plan *plan, struct failure *failure);

/* Whether rows of other shards lie between those of this one. Then samples are found row by
 * row, so that their order in the layer is known. */
bool shard_report_by_rows(const struct shard_report *shard);

/* Writes what a group of a merged tile leaves behind. `inexact`: how many inexact groups
 * of the tile were before; it is counted on. Returns the bytes. */
size_t shard_report_group(const struct task *task, const struct tile *tile,
                          uint64_t group, uint64_t *inexact,
                          uint8_t bytes[SHARD_GROUP_BYTES_MAX]);

/* Before the commit: takes what was found in the shard. */
void shard_report_ready(struct shard_report *shard, const struct task *task,
                        const struct merge *merge, const struct store_question *question);

#endif
