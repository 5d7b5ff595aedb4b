/* The worker pool: jobs in, completions out on the loop's thread. One mutex,
 * one condition; workers set the kernels' floating-point environment.
 *
 *   submit -> QUEUED -> RUNNING -> DONE -> done() on the loop
 *
 * A job whose `cancelled` is set when its turn comes is not run, but its done()
 * is still called: exactly once for every submitted job, never before submit
 * returned, also when the pool stops. */
#ifndef WORK_POOL_H
#define WORK_POOL_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/status.h"

struct pool;
struct mailbox;

struct job {
    struct list link;              /* hands off while submitted */
    void (*run)(struct job *job);  /* on a worker */
    void (*done)(struct job *job); /* on the loop's thread */
    const _Atomic bool *cancelled; /* borrowed; NULL = never */
    bool skipped;                  /* out: cancelled before it ran */
};

/* `threads` 0 = one a core. Completions travel through `mailbox` (borrowed). */
int pool_start(struct pool **pool, unsigned threads, struct mailbox *mailbox,
               struct failure *failure);

/* Borrows the job until done(). From any thread. */
void pool_submit(struct pool *pool, struct job *job);

unsigned pool_threads(const struct pool *pool);
uint64_t pool_queued(struct pool *pool); /* jobs waiting now, for metrics */

/* Runs out the queue, joins the workers, frees. NULL is harmless. */
void pool_stop(struct pool *pool);

#endif
