/* SPDX-License-Identifier: Apache-2.0 */
/* Deletes codes beyond their bound, the oldest first. The codes of the newest report of
 * each layer and replica stay. */
#ifndef STORE_EVICT_H
#define STORE_EVICT_H

#include "store/kept.h"

struct evict {
    int64_t max;      /* bytes; the bound */
    int64_t from;     /* the upload at which the search goes on */
    bool from_middle; /* the search did not begin at the oldest */
    int64_t floor;    /* bytes that stayed after all were searched; 0: not known */
};

/* Whether there is something to delete. If the newest reports alone exceed the bound, the
 * next search waits until an eighth was added, so that its cost is shared. */
bool evict_due(const struct evict *evict, const struct db *db);

/* One step of bounded work in the caller's transaction. 1: more are to follow. */
int evict_step(struct db *db, struct evict *evict, struct failure *failure);

/* A step failed: do not repeat it before more codes came. */
void evict_failed(struct evict *evict, const struct db *db);

#endif
