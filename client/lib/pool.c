/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/pool.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

int pool_init(struct pool *pool, const struct address *address,
              const struct secure *secure, struct failure *failure)
{
    pthread_condattr_t monotonic;

    *pool = (struct pool){.address = *address, .secure = *secure, .owner = getpid()};
    if (pthread_mutex_init(&pool->lock, NULL) != 0)
        goto failed;
    if (pthread_condattr_init(&monotonic) != 0)
        goto destroy_lock;
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    if (pthread_cond_init(&pool->given_back, &monotonic) != 0)
        goto destroy_attr;
    pthread_condattr_destroy(&monotonic);
    return 0;

destroy_attr:
    pthread_condattr_destroy(&monotonic);
destroy_lock:
    pthread_mutex_destroy(&pool->lock);
failed:
    secure_fini(&pool->secure);
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of resources for a client");
}

void pool_fini(struct pool *pool)
{
    bool ours = pool->owner == getpid();

    for (size_t i = 0; i < pool->idle_count; i++)
        if (ours)
            channel_close(pool->idle[i]);
        else
            channel_abandon(pool->idle[i]);
    pthread_cond_destroy(&pool->given_back);
    pthread_mutex_destroy(&pool->lock);
    secure_fini(&pool->secure);
}

/* Waits for a place; call it with the lock held. False: none became free in time. */
static bool wait_for_place(struct pool *pool, uint64_t until_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u),
                                   .tv_nsec = (long)(until_ns % 1000000000u)};

    while (pool->out == CHANNELS_MAX)
        if (pthread_cond_timedwait(&pool->given_back, &pool->lock, &until) == ETIMEDOUT)
            return pool->out < CHANNELS_MAX;
    return true;
}

static struct channel *pop_idle(struct pool *pool)
{
    return pool->idle_count > 0 ? pool->idle[--pool->idle_count] : NULL;
}

static void leave_place(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->out--;
    pthread_cond_signal(&pool->given_back);
    pthread_mutex_unlock(&pool->lock);
}

int pool_take(struct pool *pool, uint64_t wait_ns, uint64_t deadline_ns,
              struct channel **channel, bool *reused, struct failure *failure)
{
    struct channel *taken;

    *channel = NULL;
    if (pool->owner != getpid())
        return fail(
            failure, TRIT_FAILED_PRECONDITION, NULL,
            "this client belongs to the parent process; call trit_connect in this process");
    pthread_mutex_lock(&pool->lock);
    if (!wait_for_place(pool, clock_monotonic_ns() + wait_ns)) {
        pthread_mutex_unlock(&pool->lock);
        return 0;
    }
    pool->out++;
    while ((taken = pop_idle(pool))) {
        pthread_mutex_unlock(&pool->lock);
        if (channel_usable(taken)) {
            *channel = taken;
            *reused = true;
            return 0;
        }
        channel_close(taken);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    *reused = false;
    return pool_renew(pool, deadline_ns, channel, failure);
}

int pool_renew(struct pool *pool, uint64_t deadline_ns, struct channel **channel,
               struct failure *failure)
{
    channel_close(*channel);
    *channel = channel_open(&pool->address, &pool->secure, deadline_ns, failure);
    if (*channel)
        return 0;
    leave_place(pool);
    return -1;
}

void pool_put(struct pool *pool, struct channel *channel, bool clean)
{
    struct channel *close_this = channel;

    pthread_mutex_lock(&pool->lock);
    if (clean && pool->idle_count < IDLE_CHANNELS_MAX) {
        pool->idle[pool->idle_count++] = channel;
        close_this = NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    channel_close(close_this);
    leave_place(pool);
}
