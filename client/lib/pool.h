/* SPDX-License-Identifier: Apache-2.0 */
/* The connections of one client. A thread takes a channel, uses it alone, and puts it
 * back. Thread-safe. At most CHANNELS_MAX channels are out at a time; further threads
 * wait. At most IDLE_CHANNELS_MAX idle channels are kept. */
#ifndef LIB_POOL_H
#define LIB_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "client/lib/channel.h"

enum { CHANNELS_MAX = 64, IDLE_CHANNELS_MAX = 16 };

struct pool {
    struct address address;
    struct secure secure;
    pid_t owner; /* a forked child must not use its parent's sockets */
    pthread_mutex_t lock;
    pthread_cond_t given_back;
    size_t out;
    struct channel *idle[IDLE_CHANNELS_MAX]; /* the last one put back is taken first */
    size_t idle_count;
};

/* Takes ownership of *secure, also on failure. */
int pool_init(struct pool *pool, const struct address *address,
              const struct secure *secure, struct failure *failure);
void pool_fini(struct pool *pool); /* no channel may be out */

/* 0 with a channel, which may have to connect first (channel_connect), or -1 with *failure.
 * *reused: the channel was idle, so the daemon may have closed it meanwhile. Where all are out
 * for `wait_ns` from now on, *channel is NULL. */
int pool_take(struct pool *pool, uint64_t wait_ns, uint64_t deadline_ns,
              struct channel **channel, bool *reused, struct failure *failure);
/* Closes *channel and opens another in its place. -1: *channel is NULL, and its place
 * in the pool is free. */
int pool_renew(struct pool *pool, uint64_t deadline_ns, struct channel **channel,
               struct failure *failure);
/* `clean` is the result of channel_release; when it is false the channel is closed. */
void pool_put(struct pool *pool, struct channel *channel, bool clean);

#endif
