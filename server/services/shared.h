/* SPDX-License-Identifier: Apache-2.0 */
/* What the methods share: the service behind call->service. */
#ifndef SERVICES_SHARED_H
#define SERVICES_SHARED_H

#include <pthread.h>

#include "grpc/call.h"
#include "services/config.h"
#include "services/ternary/tiles.h"

struct services {
    struct services_config config;
    struct tiles tiles;          /* recycled */
    pthread_mutex_t reader_lock; /* config.reader, between queries on the pool */
};

static inline struct services *services_of(const struct call *call)
{
    return call->service;
}

/* Fills call->failure with RESOURCE_EXHAUSTED, the memory budget is spent; -1. */
int memory_spent(struct call *call);

#endif
