/* SPDX-License-Identifier: Apache-2.0 */
/* What grpc.health.v1 says: whether the daemon is draining, and whether the store
 * commits reports. Only the loop's thread uses it. */
#ifndef SERVICES_HEALTH_H
#define SERVICES_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/loop.h"

struct call;

enum {
    /* After a commit that failed, calls are not invited for this long. Then they are
     * again, because only a report shows whether the store has recovered. */
    HEALTH_STORE_FAILED_MS = 30 * 1000,
};

struct health {
    struct list watches;
    size_t watch_count;
    uint64_t store_failed_ns; /* monotonic; 0: the last commit succeeded */
    struct timer recheck;
    struct timers *timers; /* NULL before the first failure */
    struct grpc *grpc;
};

void health_init(struct health *health);
void health_fini(struct health *health);

/* A commit of the call's report ended with this status. */
void health_store_ended(const struct call *call, enum trit_status status);

#endif
