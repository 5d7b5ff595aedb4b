/* SPDX-License-Identifier: Apache-2.0 */
/* Staleness: no report of a layer came for long. It is not stored, because no report tells
 * it; it is looked up when the newest report of a layer is read. */
#ifndef STORE_STALE_H
#define STORE_STALE_H

#include "store/past.h"
#include "store/run.h"

/* Whether the newest report that the lineage has of this layer and replica, up to step `until`,
 * is in this row of the table of layers. 1: it is, at *step. 0: no. -1: failure. */
int newest_in_row(struct db *db, const struct run_row *run, const struct layer_row *layer,
                  int64_t until, int64_t *step, struct failure *failure);

/* Whether a layer whose newest report is at `step` is stale at this time. 1: *reason says
 * so. 0: no. -1: failure. Reads reports: no walk over them may be under way. */
int find_staleness(struct db *db, const struct health_rules *rules,
                   const struct layer_row *layer, int64_t step, int64_t now_unix_ns,
                   struct trit_health_reason *reason, struct failure *failure);

/* When the layer became as stale as it is at this time; INT64_MIN: it is not stale. */
int64_t became_stale_ns(const struct health_rules *rules, const struct health_past *past,
                        int64_t now_unix_ns);

#endif
