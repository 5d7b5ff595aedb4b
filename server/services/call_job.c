/* SPDX-License-Identifier: Apache-2.0 */
#include "services/call_job.h"

#include "kernels/kernels.h"

static void job_run(struct job *pool_job)
{
    struct call_job *job = LIST_OWNER(pool_job, struct call_job, job);

    job->run(job);
}

static void job_done(struct job *pool_job)
{
    struct call_job *job = LIST_OWNER(pool_job, struct call_job, job);
    struct call *call = job->call;

    job->done(job); /* may free the job */
    call_release(call);
}

static void job_begin(struct call_job *job)
{
    job->job = (struct job){
        .run = job_run, .done = job_done, .cancelled = &job->call->cancelled};
    call_hold(job->call);
}

void call_submit(struct call_job *job, struct pool *pool)
{
    job_begin(job);
    pool_submit(pool, &job->job);
}

void call_submit_inline(struct call_job *job)
{
    struct kernels_env env;

    job_begin(job);
    kernels_enter(&env);
    job->run(job);
    kernels_leave(&env);
    job_done(&job->job);
}
