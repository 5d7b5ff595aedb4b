/* SPDX-License-Identifier: Apache-2.0 */
/* A job that a call gives to the pool. The job references its call, so the call outlives
 * the job even if its stream is closed meanwhile. */
#ifndef SERVICES_CALL_JOB_H
#define SERVICES_CALL_JOB_H

#include "grpc/call.h"
#include "work/pool.h"

struct call_job {
    struct call *call;
    /* Runs on a worker. If the call is cancelled before the job's turn, it does not run,
     * and job.skipped is set. */
    void (*run)(struct call_job *job);
    /* Runs on the loop, exactly once for each submission. The call may have ended: check
     * call->state before you reply. May free the job, or submit it again. */
    void (*done)(struct call_job *job);
    struct job job;       /* do not touch it before done() */
    struct ticket ticket; /* of call_submit */
    uint64_t units;       /* likewise */
    uint64_t spent_ns;    /* on the job before run() */
    bool lingers;         /* as that of struct job */
    uint64_t ns;          /* valid in done(): what the job took */
};

/* The flow of the call's connection for work of this cost. NULL: it has none. */
struct flow *call_flow(const struct call *call, uint64_t cost_ns);

/* Opens a ticket for a part of the call's work. */
void call_ticket_open(struct call *call, struct ticket *ticket, struct pool *pool,
                      uint64_t units);

/* The caller has filled in call, run and done, and the call is admitted (admission.h).
 * Borrows the job until done(). `units`: its work, in units of the method. */
void call_submit(struct call_job *job, struct pool *pool, uint64_t units);

/* The same for a job of work whose ticket the caller has opened and closes. */
void call_submit_part(struct call_job *job, struct pool *pool,
                      const struct ticket *ticket);

/* If no worker has begun the job and it is the pool's next one, no worker runs it, and its
 * done() has been called when this returns. Else done() comes as usual. */
void call_withdraw(struct call_job *job, struct pool *pool);

/* Does what call_submit does, but on the loop, for a job too small for the pool: run() and
 * done() have been called when it returns. `units`: as in call_submit; 0: so little work
 * that its time says nothing about the cost of a unit. */
void call_submit_inline(struct call_job *job, struct pool *pool, uint64_t units);

#endif
