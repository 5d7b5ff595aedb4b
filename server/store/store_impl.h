/* SPDX-License-Identifier: Apache-2.0 */
/* The store, for the files that are its own: puts.c, changes.c, thread.c, open.c. */
#ifndef STORE_IMPL_H
#define STORE_IMPL_H

#include <pthread.h>

#include "health/health.h"
#include "store/chore.h"
#include "store/directory.h"
#include "store/store.h"
#include "store/writer.h"

enum { STORE_CODES_TOTAL_MAX = 64 << 20 }; /* pending, of all puts together */

struct store {
    struct store_config config; /* without its directory and rules */
    struct health_rules rules;
    struct directory directory;
    char *path; /* a file name or URI for db_open */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    /* under the mutex */
    struct list queue;   /* commands */
    bool due;            /* one of them is worth a batch, or there is other work */
    bool mend;           /* a reader has met a damaged row of a layer or a run */
    struct list waiting; /* uploads that wait for drained() */
    uint32_t open;       /* puts between begin and their last message */
    size_t pending;      /* bytes of codes in the queue */
    bool stopping;
    struct list chores;             /* changes and upkeep that wait, in order */
    _Atomic uint64_t busy_since_ns; /* of the monotonic clock; 0: the writer waits */
    /* the writer's thread only */
    struct writer writer;
};

/* Counts a put or a change in, on the loop. RESOURCE_EXHAUSTED: too many are open. */
int store_admit(struct store *store, struct failure *failure);
/* Counts so many of them out. Any thread. */
void store_leave(struct store *store, uint32_t count);

/* The writer's thread. */
void *store_write_batches(void *store);

/* Sets the store's gauges. The writer's thread. */
void store_measure(struct store *store);

/* What the store logs and counts when it meets damage. */
void store_log_damage(struct store *store, const struct failure *damage);

#endif
