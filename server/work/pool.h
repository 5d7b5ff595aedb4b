/* SPDX-License-Identifier: Apache-2.0 */
/* The worker pool. Jobs run on workers, in the kernels' floating-point environment; their
 * completions are called on the loop that the job names.
 *
 *   submit -> queue -> run() on a worker -> mailbox -> done() on the loop
 *
 * done() is called exactly once for every submitted job that has one, never from within
 * submit, also when the pool stops. A job that is cancelled before its turn does not run, but
 * its done() is called. A job without done() wakes no loop, and its run() may free it. Jobs
 * start in the order of their turns (work/turns.h), and those with equal turns in the order of
 * their submission; with several workers they may finish in another order. */
#ifndef WORK_POOL_H
#define WORK_POOL_H

#include <stdatomic.h>

#include "async/loop.h"
#include "base/status.h"
#include "work/plan.h"
#include "work/turns.h"

struct pool;

enum {
    POOL_THREADS_MAX = 1024,
    SCRATCH_PART_BYTES = TILE_IN_BYTES_MAX + 4096,
    SCRATCH_PARTS = 3, /* a tile's input, reference and output */
    POOL_LINGER_NS = 200000,
    POOL_LINGER_MISSES_MAX = 4,
    POOL_LINGER_AGAIN = 64,
};

struct job {
    struct job *left, *right; /* the pool's, as the next two fields: do not touch */
    uint64_t sequence;
    struct mailbox_message message;
    struct mailbox *mailbox;       /* that carries done(); NULL: the pool's */
    uint64_t turn, start;          /* of its ticket; 0: before all others */
    void (*run)(struct job *job);  /* on a worker */
    void (*done)(struct job *job); /* on the thread of the mailbox's loop; or NULL */
    const _Atomic bool *cancelled; /* borrowed; NULL: never cancelled */
    bool skipped;                  /* valid in done(): cancelled, so it did not run */
    /* A job like it often follows soon: its worker looks for one for POOL_LINGER_NS before it
     * sleeps, because on a virtual machine a core that sleeps may take longer to wake than such
     * a job takes. After POOL_LINGER_MISSES_MAX times in vain it does so only after every
     * POOL_LINGER_AGAIN-th such job, until one comes. */
    bool lingers;
    /* In run(): SCRATCH_PARTS parts of memory of the worker, the same for each job, so that
     * it stays in the core's cache. */
    uint8_t *scratch;
};

/* `threads` 0: one for each core that this process may use (base/machine.h). Borrows the mailbox, which
 * carries the completions of jobs that name none. INVALID_ARGUMENT: more than POOL_THREADS_MAX threads.
 * RESOURCE_EXHAUSTED: no memory, or a thread cannot be created. */
int pool_start(struct pool **pool, unsigned threads, struct mailbox *mailbox,
               struct failure *failure);

/* Borrows the job until done(); without done(), which a job that can be cancelled has, until
 * run() returns or frees it. Any thread, before pool_stop is called. A done() may submit its
 * job again. */
void pool_submit(struct pool *pool, struct job *job);

/* Takes the job back, so that it does not run, and its done() is not called. False: a worker
 * has it, or another job is before it. */
bool pool_withdraw(struct pool *pool, struct job *job);

unsigned pool_threads(const struct pool *pool);
/* For metrics: jobs in the queue, and workers that run one. Any thread. */
uint64_t pool_queued(const struct pool *pool);
unsigned pool_busy(const struct pool *pool);

/* Where tickets for jobs of this pool are opened. */
struct turns *pool_turns(struct pool *pool);

/* Runs the jobs that are left in the queue, except cancelled ones, joins the workers and
 * frees the pool. The last done()s are in the mailbox then: deliver or close it
 * afterwards. NULL is harmless. */
void pool_stop(struct pool *pool);

#endif
