/* SPDX-License-Identifier: Apache-2.0 */
/* A job that a call gives to the pool. The call is held until the job is done, so it
 * outlives the job even where its stream is closed meanwhile. */
#ifndef SERVICES_CALL_JOB_H
#define SERVICES_CALL_JOB_H

#include "grpc/call.h"
#include "work/pool.h"

struct call_job {
    struct call *call;
    /* On a worker. Not called where the call is cancelled before its turn: job.skipped
     * says so. */
    void (*run)(struct call_job *job);
    /* On the loop, always, once for each submission. The call may have ended: look at
     * call->state before you answer. May free the job, or submit it again. */
    void (*done)(struct call_job *job);
    struct job job; /* do not touch it before done() */
};

/* With call, run and done filled. Borrows the job until done(). */
void call_submit(struct call_job *job, struct pool *pool);

/* Does the same on the loop, for a job too small for the pool: run() and done() have
 * been called when it returns. */
void call_submit_inline(struct call_job *job);

#endif
