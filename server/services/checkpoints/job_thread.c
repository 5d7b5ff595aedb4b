/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/job_thread.h"

#include "base/clock.h"
#include "obs/metrics.h"
#include "services/checkpoints/context.h"
#include "services/checkpoints/kept.h"
#include "services/checkpoints/output.h"

static enum job_result_id result_of(const struct checkpoint_job *job,
                                    enum job_state state)
{
    if (state != JOB_DONE)
        return state == JOB_FAILED ? R_FAILED : R_CANCELLED;
    switch (job->verdict) {
    case TRIT_VERDICT_PASS:
        return R_PASS;
    case TRIT_VERDICT_INCONCLUSIVE:
        return R_INCONCLUSIVE;
    case TRIT_VERDICT_FAIL:
        break;
    }
    return R_FAIL;
}

static void count_end(const struct checkpoint_job *job, enum job_state state)
{
    struct metrics *metrics = job->context->metrics;

    metric_job(metrics, job->kind->name, result_of(job, state));
    if (state == JOB_DONE) {
        metric_add(metrics, M_JOBS_TENSORS, job->tensors_total);
        metric_add(metrics, M_JOBS_REUSED, job->progress.reused);
    }
}

void job_end(struct checkpoint_job *job, struct job_end *how, bool keeps, bool flush)
{
    how->ended_ns = clock_unix_ns();
    if (keeps)
        job_keep(job, how, flush);
    pthread_mutex_lock(&job->lock);
    state_move(&job_states, &job->state, how->state);
    job->ended_ns = how->ended_ns;
    job->failure = how->failure;
    pthread_mutex_unlock(&job->lock);
    count_end(job, how->state);
}

/* Whether what is kept of the job is on the disk before it goes on, which takes two flushes. Where
 * nothing is written and a client waits, it has the result, or asks again. */
static bool is_durable(const struct checkpoint_job *job)
{
    return job->asked.detach || job_writes_output(job);
}

void *job_thread(void *arg)
{
    struct checkpoint_job *job = arg;
    struct job_end how = {.failure = {.status = TRIT_OK}};
    int result;

    job_keep(job, NULL, is_durable(job));
    result = job->kind->run(job, &how.failure);
    if (how.failure.status == TRIT_CANCELLED) { /* not where it was */
        how.failure = (struct failure){.status = TRIT_OK};
        fail(&how.failure, TRIT_CANCELLED, NULL, "the job was cancelled");
    }
    how.state = result == 0                            ? JOB_DONE
                : how.failure.status == TRIT_CANCELLED ? JOB_CANCELLED
                                                       : JOB_FAILED;
    const bool goes_on = how.state == JOB_CANCELLED && atomic_load(&job->interrupted);

    if (goes_on) { /* its file says that it runs; this daemon does not count */
        job->starts--;
        job_keep(job, NULL, is_durable(job));
    } else if (result < 0 && job->earlier) {
        job_output_discard(job);
    }
    job_end(job, &how, !goes_on, is_durable(job));
    job_tell(job);
    return NULL;
}
