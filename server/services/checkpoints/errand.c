/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/errand.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "work/pool.h"

/* The waiting thread must not depend on the loop, which may be waiting for that thread. So
 * the worker wakes it, and whoever of the two comes last frees the errand. */
struct errand {
    struct job job;
    _Atomic unsigned references;
    void (*run)(void *arg, uint8_t *scratch);
    void *arg;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool ran;
};

enum { NS_PER_ELEMENT = 1 }; /* about what kernels take; it only places the turn */

static void errand_release(struct errand *errand)
{
    if (atomic_fetch_sub(&errand->references, 1) > 1)
        return;
    pthread_cond_destroy(&errand->changed);
    pthread_mutex_destroy(&errand->mutex);
    free(errand);
}

static void job_run(struct job *job)
{
    struct errand *errand = LIST_OWNER(job, struct errand, job);

    errand->run(errand->arg, job->scratch);
    pthread_mutex_lock(&errand->mutex);
    errand->ran = true;
    pthread_mutex_unlock(&errand->mutex);
    pthread_cond_signal(&errand->changed); /* who is woken finds the mutex free */
    errand_release(errand);
}

int errand_run_in(struct pool *pool, uint64_t elements,
                  void (*run)(void *arg, uint8_t *scratch), void *arg,
                  struct failure *failure)
{
    struct errand *errand = calloc(1, sizeof(*errand));

    if (!errand)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    pthread_mutex_init(&errand->mutex, NULL);
    pthread_cond_init(&errand->changed, NULL);
    errand->references = 2;
    errand->run = run;
    errand->arg = arg;
    errand->job.run = job_run;
    errand->job.start =
        atomic_load_explicit(&pool_turns(pool)->now, memory_order_relaxed);
    errand->job.turn = errand->job.start + elements * NS_PER_ELEMENT;
    pool_submit(pool, &errand->job);
    pthread_mutex_lock(&errand->mutex);
    while (!errand->ran)
        pthread_cond_wait(&errand->changed, &errand->mutex);
    pthread_mutex_unlock(&errand->mutex);
    errand_release(errand);
    return 0;
}

struct plain {
    void (*run)(void *arg);
    void *arg;
};

static void run_plain(void *arg, uint8_t *scratch)
{
    const struct plain *plain = arg;

    (void)scratch;
    plain->run(plain->arg);
}

int errand_run(struct pool *pool, uint64_t elements, void (*run)(void *arg), void *arg,
               struct failure *failure)
{
    struct plain plain = {run, arg};

    return errand_run_in(pool, elements, run_plain, &plain, failure);
}
