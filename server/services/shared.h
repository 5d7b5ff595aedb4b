/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the methods: the object behind call->service. */
#ifndef SERVICES_SHARED_H
#define SERVICES_SHARED_H

#include <pthread.h>
#include <stdatomic.h>

#include "grpc/call.h"
#include "services/config.h"
#include "services/places.h"
#include "services/ternary/tiles.h"
#include "work/plan.h"

enum {
    /* After a commit that failed, calls are not invited for this long. Then they are
     * again, because only a report shows whether the store has recovered. */
    HEALTH_STORE_FAILED_MS = 30 * 1000,
};

/* See health.h. Those fields that are atomic count in the first services only. */
struct health {
    struct places watches;
    _Atomic uint64_t store_failed_ns; /* monotonic; 0: the last commit succeeded */
    struct timer recheck;
    struct timers *timers; /* NULL before the first failure */
    struct grpc *grpc;
};

struct jobs;

/* One for each loop, whose thread uses it. What is for the whole daemon is in the first one,
 * is atomic or has a lock, and is found by services_first. */
struct services {
    struct services_config config;
    struct tiles tiles; /* free list */
    struct plan last;   /* of a call's tensor; rank 0: none. Calls repeat their shapes */
    struct plan_spec last_spec; /* what was asked of it */
    struct health health;
    struct places watches; /* of reports; reports_watch.c */
    struct places streams; /* of jobs; checkpoints/stream.c */
    struct jobs *jobs;     /* of the service Checkpoints; the first one's */
    /* of the first one */
    pthread_mutex_t reader_lock; /* of config.reader, for jobs on the pool */
    /* best-effort answers that went before their reports' commit */
    _Atomic size_t reports_late;
};

static inline struct services *services_first(struct services *services)
{
    return services->config.first ? services->config.first : services;
}

/* Has the services of all loops do what the news say. */
void services_tell(struct services *services, unsigned news);

static inline struct services *services_of(const struct call *call)
{
    return call->service;
}

/* Memory for the call, within its connection's share. -1: there is none, and nothing is
 * changed; see memory_spent. */
struct block;
int call_block(struct call *call, size_t size, struct block *block);

/* Makes space for `more` bytes after the first `used` of the block, which is empty at first
 * and doubles up to `most` bytes. So no memory is reserved for bytes that only a header
 * promises. -1: there is none, and nothing is changed. */
int call_block_grow(struct call *call, struct block *block, size_t used, size_t more,
                    size_t most);

/* Fails the call with RESOURCE_EXHAUSTED for lack of memory. Returns -1. */
int memory_spent(struct call *call);

/* Bytes of the small fields that the scan has collected. If the number grows after the
 * bulk data began, a field came after the data that it describes. */
size_t small_bytes(const struct scan *scan);

/* Fails the call with INVALID_ARGUMENT: `field` must be the last one. Returns -1. */
int late_fields(struct call *call, const char *field);

#endif
