/* The connections of one client. Threads take a channel, have it to themselves,
 * and put it back; thread-safe. At most CHANNELS_MAX are out at a time (more
 * takers wait), at most IDLE_CHANNELS_MAX wait for the next taker. */
#ifndef LIB_POOL_H
#define LIB_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "client/lib/channel.h"

enum { CHANNELS_MAX = 64, IDLE_CHANNELS_MAX = 16 };

struct pool {
    struct address address;
    pid_t owner; /* a forked child must not speak on its parent's sockets */
    pthread_mutex_t lock;
    pthread_cond_t given_back;
    size_t out;
    struct channel *idle[IDLE_CHANNELS_MAX]; /* the latest used on top */
    size_t idle_count;
};

int pool_init(struct pool *pool, const struct address *address, struct failure *failure);
void pool_fini(struct pool *pool); /* nothing may be out */

enum pool_wait { POOL_WAIT, POOL_TRY };

/* 0 with a channel; *reused: it has served before, so the daemon may have closed
 * it meanwhile. -1 with *failure. With POOL_TRY *channel may be NULL: all are out. */
int pool_take(struct pool *pool, enum pool_wait wait, uint64_t deadline_ns,
              struct channel **channel, bool *reused, struct failure *failure);
/* Closes *channel and opens another in its place. -1: *channel is NULL and the
 * place given back. */
int pool_renew(struct pool *pool, uint64_t deadline_ns, struct channel **channel,
               struct failure *failure);
/* `clean`: as channel_settle said; else the channel is closed. */
void pool_put(struct pool *pool, struct channel *channel, bool clean);

#endif
