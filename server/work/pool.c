/* SPDX-License-Identifier: Apache-2.0 */
#include "work/pool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/machine.h"
#include "base/number.h"
#include "kernels/kernels.h"

enum { SCRATCH_ALIGN = 64, LOOK_NS = 20000 };

struct worker {
    struct pool *pool;
    void *memory;     /* that scratch lies in; touched first on the worker's thread */
    uint8_t *scratch; /* aligned for the kernels */
    unsigned misses;  /* times that it has lingered in vain since a job came */
    pthread_t thread;
};

struct pool {
    struct mailbox *mailbox; /* borrowed */
    pthread_mutex_t mutex;
    pthread_cond_t work;     /* the queue is not empty, or the pool stops */
    struct job *queue;       /* a skew heap; under the mutex, as all up to `stopping` */
    uint64_t sequence;       /* of the next job */
    unsigned asleep;         /* workers that wait for `work` */
    unsigned lingering;      /* workers that look for a job before they sleep */
    bool waking;             /* one of them was signalled, and has not run yet */
    bool stopping;           /* only ever set */
    _Atomic uint64_t queued; /* jobs in the queue; changed under the mutex */
    _Atomic uint64_t looked_ns; /* when one of those who linger last looked */
    struct turns turns;
    _Atomic unsigned busy;  /* workers that run a job */
    unsigned threads_count; /* running; constant once started */
    struct worker workers[];
};

static bool before(const struct job *a, const struct job *b)
{
    return a->turn < b->turn || (a->turn == b->turn && a->sequence < b->sequence);
}

/* Merges two skew heaps, from the top down. */
static struct job *merge(struct job *a, struct job *b)
{
    struct job *root = NULL, **at = &root;

    while (a && b) {
        struct job *first = before(a, b) ? a : b;

        b = first == a ? b : a;
        a = first->right;
        first->right = first->left;
        *at = first;
        at = &first->left;
    }
    *at = a ? a : b;
    return root;
}

/* Under the mutex. Metrics read it without. */
static void count_queued(struct pool *pool, int change)
{
    const uint64_t before = atomic_load_explicit(&pool->queued, memory_order_relaxed);

    atomic_store_explicit(&pool->queued, before + (uint64_t)change, memory_order_relaxed);
}

/* The job with the smallest turn. NULL: none. */
static struct job *pop(struct pool *pool)
{
    struct job *job = pool->queue;

    if (!job)
        return NULL;
    pool->queue = merge(job->left, job->right);
    count_queued(pool, -1);
    if (job->start > atomic_load_explicit(&pool->turns.now, memory_order_relaxed))
        atomic_store_explicit(&pool->turns.now, job->start, memory_order_relaxed);
    return job;
}

/* Under the mutex: whether a worker looks for a job just now. One that has not looked for a while
 * has yielded its core to a thread that keeps it. */
static bool one_looks(const struct pool *pool)
{
    return pool->lingering > 0 &&
           clock_monotonic_ns() -
                   atomic_load_explicit(&pool->looked_ns, memory_order_relaxed) <
               LOOK_NS;
}

/* Under the mutex: whether a worker is to be signalled. One wakes at a time, and wakes the next
 * one when it has taken its job. Linux puts a thread that wakes on a core where nothing runs; two
 * that wake at once may get the same core, because neither runs yet. */
static bool wakes_one(struct pool *pool)
{
    if (!pool->queue || pool->asleep == 0 || pool->waking)
        return false;
    if (pool_queued(pool) == 1 && one_looks(pool))
        return false;
    pool->waking = true;
    return true;
}

/* Whether the worker looks for a job before it sleeps. */
static bool lingers(struct worker *worker)
{
    return worker->misses < POOL_LINGER_MISSES_MAX ||
           ++worker->misses % POOL_LINGER_AGAIN == 0;
}

/* Under the mutex, which it leaves meanwhile. After each look the worker yields its core to any
 * thread that is to run there, such as the client's that sends the next call. */
static void linger(struct worker *worker)
{
    struct pool *pool = worker->pool;
    uint64_t now_ns = clock_monotonic_ns();
    const uint64_t until_ns = now_ns + POOL_LINGER_NS;

    pool->lingering++;
    pthread_mutex_unlock(&pool->mutex);
    for (; pool_queued(pool) == 0 && now_ns < until_ns; now_ns = clock_monotonic_ns()) {
        atomic_store_explicit(&pool->looked_ns, now_ns, memory_order_relaxed);
        sched_yield();
    }
    pthread_mutex_lock(&pool->mutex);
    pool->lingering--;
    if (pool->queue)
        worker->misses = 0;
    else if (worker->misses < POOL_LINGER_MISSES_MAX)
        worker->misses++;
}

/* Waits for the next job. NULL: the pool stops and the queue is empty. */
static struct job *take_job(struct worker *worker, bool looks)
{
    struct pool *pool = worker->pool;
    struct job *job;
    bool wakes;

    pthread_mutex_lock(&pool->mutex);
    if (looks && !pool->queue && !pool->stopping && lingers(worker))
        linger(worker);
    while (!pool->queue && !pool->stopping) {
        pool->asleep++;
        pthread_cond_wait(&pool->work, &pool->mutex);
        pool->asleep--;
        pool->waking = false;
    }
    job = pop(pool);
    wakes = wakes_one(pool);
    pthread_mutex_unlock(&pool->mutex);
    if (wakes)
        pthread_cond_signal(&pool->work);
    return job;
}

static void deliver_done(struct mailbox_message *message)
{
    struct job *job = LIST_OWNER(message, struct job, message);

    job->done(job);
}

static void run(const struct worker *worker, struct job *job)
{
    struct pool *pool = worker->pool;

    atomic_fetch_add_explicit(&pool->busy, 1, memory_order_relaxed);
    job->scratch = worker->scratch;
    job->run(job);
    atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_relaxed);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct pool *pool = worker->pool;
    struct kernels_env env;
    struct job *job;
    bool looks = false;

    kernels_enter(&env);
    while ((job = take_job(worker, looks))) {
        const bool told = job->done; /* else the job may be gone after run() */

        looks = job->lingers;

        /* Relaxed: the flag guards no other data. If a worker sees it late, it only
         * does a job that nobody needs any more. */
        job->skipped =
            job->cancelled && atomic_load_explicit(job->cancelled, memory_order_relaxed);
        if (!job->skipped)
            run(worker, job);
        if (told)
            mailbox_post(job->mailbox ? job->mailbox : pool->mailbox,
                         &job->message); /* now the job is the loop's */
    }
    kernels_leave(&env);
    return NULL;
}

/* Only the loop's thread handles signals. A new thread inherits the mask, so blocking
 * all signals before its creation makes sure that a worker never takes one. */
static int start_worker(struct pool *pool, unsigned index)
{
    sigset_t all, before;
    struct worker *worker = &pool->workers[index];
    char name[16];
    int rc;

    worker->pool = pool;
    worker->memory = malloc((size_t)SCRATCH_PARTS * SCRATCH_PART_BYTES + SCRATCH_ALIGN);
    if (!worker->memory)
        return ENOMEM;
    worker->scratch = (uint8_t *)align_up((uintptr_t)worker->memory, SCRATCH_ALIGN);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0) {
        snprintf(name, sizeof(name), "tritd-work-%u", index % 10000);
        pthread_setname_np(worker->thread, name); /* for top -H; may fail */
        pool->threads_count++;
    } else {
        free(worker->memory);
    }
    return rc;
}

int pool_start(struct pool **pool, unsigned threads, struct mailbox *mailbox,
               struct failure *failure)
{
    unsigned wanted = threads > 0 ? threads : machine_cores("");
    struct pool *p;

    if (threads > POOL_THREADS_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "threads",
                          "%u; must be at most %d", threads, POOL_THREADS_MAX);
    if (wanted > POOL_THREADS_MAX)
        wanted = POOL_THREADS_MAX;
    p = calloc(1, sizeof(*p) + wanted * sizeof(p->workers[0]));
    if (!p)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "pool: out of memory");
    p->mailbox = mailbox;
    turns_init(&p->turns, wanted);
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->work, NULL);

    for (unsigned i = 0; i < wanted; i++) {
        int rc = start_worker(p, i);

        if (rc != 0) {
            pool_stop(p);
            return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                        "pool: cannot start thread %u of %u: %s", i + 1, wanted,
                        strerror(rc));
        }
    }
    *pool = p;
    return 0;
}

void pool_submit(struct pool *pool, struct job *job)
{
    bool wakes;

    assert(job->done || !job->cancelled);
    job->message.deliver = deliver_done;
    pthread_mutex_lock(&pool->mutex);
    assert(!pool->stopping);
    job->left = job->right = NULL;
    job->sequence = pool->sequence++;
    pool->queue = merge(pool->queue, job);
    count_queued(pool, 1);
    wakes = wakes_one(pool);
    pthread_mutex_unlock(&pool->mutex);
    if (wakes)
        pthread_cond_signal(&pool->work); /* the worker finds the mutex free */
}

bool pool_withdraw(struct pool *pool, struct job *job)
{
    bool next;

    pthread_mutex_lock(&pool->mutex);
    next = pool->queue == job;
    if (next)
        pop(pool);
    pthread_mutex_unlock(&pool->mutex);
    return next;
}

unsigned pool_busy(const struct pool *pool)
{
    return atomic_load_explicit(&pool->busy, memory_order_relaxed);
}

unsigned pool_threads(const struct pool *pool)
{
    return pool->threads_count;
}

uint64_t pool_queued(const struct pool *pool)
{
    return atomic_load_explicit(&pool->queued, memory_order_relaxed);
}

struct turns *pool_turns(struct pool *pool)
{
    return &pool->turns;
}

void pool_stop(struct pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->threads_count; i++)
        pthread_join(pool->workers[i].thread, NULL);
    for (unsigned i = 0; i < pool->threads_count; i++)
        free(pool->workers[i].memory);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}
