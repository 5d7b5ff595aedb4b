/* SPDX-License-Identifier: Apache-2.0 */
/* The worker pool: jobs in, completions out on the loop's thread. One mutex,
 * one condition; workers set the kernels' floating-point environment.
 *
 *   submit -> QUEUED -> RUNNING -> DONE -> done() on the loop
 *
 * A job whose `cancelled` is set when its turn comes is not run, but its done()
 * is still called: exactly once for every submitted job, from the loop and never
 * from within submit, also when the pool stops. Jobs start in the order they
 * were submitted; with several workers they may be done in another. */
#ifndef WORK_POOL_H
#define WORK_POOL_H

#include <stdatomic.h>

#include "async/loop.h"
#include "base/status.h"

struct pool;

enum { POOL_THREADS_MAX = 1024 };

struct job {
    struct list link;              /* hands off, here and below: the queue */
    struct letter letter;          /* the way back */
    void (*run)(struct job *job);  /* on a worker */
    void (*done)(struct job *job); /* on the loop's thread */
    const _Atomic bool *cancelled; /* borrowed; NULL = never */
    bool skipped;                  /* out, valid in done(): cancelled, never ran */
};

/* `threads` 0 = one for each core this process may run on; above
 * POOL_THREADS_MAX: INVALID_ARGUMENT. Completions travel through `mailbox`
 * (borrowed). RESOURCE_EXHAUSTED when a thread cannot be had. */
int pool_start(struct pool **pool, unsigned threads, struct mailbox *mailbox,
               struct failure *failure);

/* Borrows the job until done(). From any thread, before pool_stop is called; a
 * done() may submit its job again. */
void pool_submit(struct pool *pool, struct job *job);

unsigned pool_threads(const struct pool *pool);
uint64_t pool_queued(struct pool *pool); /* jobs waiting now, for metrics */

/* Runs out the queue (skipping what is cancelled), joins the workers, frees.
 * The last done()s are in the mailbox then: deliver or close it afterwards. NULL
 * is harmless. */
void pool_stop(struct pool *pool);

#endif
