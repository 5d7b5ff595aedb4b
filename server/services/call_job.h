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
    struct job job; /* do not touch it before done() */
};

/* The caller has filled in call, run and done. Borrows the job until done(). */
void call_submit(struct call_job *job, struct pool *pool);

/* Does the same on the loop, for a job too small for the pool: run() and done() have
 * been called when it returns. */
void call_submit_inline(struct call_job *job);

#endif
