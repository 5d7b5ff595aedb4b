/* SPDX-License-Identifier: Apache-2.0 */
/* What the methods share: the object behind call->service. */
#ifndef SERVICES_SHARED_H
#define SERVICES_SHARED_H

#include <pthread.h>

#include "grpc/call.h"
#include "services/config.h"
#include "services/ternary/tiles.h"

struct services {
    struct services_config config;
    struct tiles tiles;          /* free list */
    pthread_mutex_t reader_lock; /* of config.reader, for jobs on the pool */
};

static inline struct services *services_of(const struct call *call)
{
    return call->service;
}

/* Fails the call with RESOURCE_EXHAUSTED for lack of memory. Returns -1. */
int memory_spent(struct call *call);

#endif
