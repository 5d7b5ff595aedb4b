/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of retention for layers whose shards never all came. Inside the caller's
 * transaction. */
#ifndef STORE_RETAIN_WAITING_H
#define STORE_RETAIN_WAITING_H

#include "store/db.h"
#include "store/store.h"

/* Deletes at most `max` layers that wait for shards and that age, count and thin do not
 * keep: the latter two count reports of later steps. Returns how many, or -1. */
int retain_waiting(struct db *db, const struct store_retention *rules, size_t max,
                   struct failure *failure);
/* Deletes one that is older than all reports. 0: there is none. */
int retain_oldest_waiting(struct db *db, struct failure *failure);

#endif
