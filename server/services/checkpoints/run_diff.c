/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "drive/diff.h"
#include "services/checkpoints/runs.h"
#include "services/checkpoints/source.h"

struct diff_job {
    struct rooted held, held_against;
    struct diffing run;
};

static int failed(const struct checkpoint_job *job, const struct diff_job *d,
                  struct failure *failure)
{
    *failure = d->run.failure;
    rooted_rename(&d->held, job->asked.path, failure);
    rooted_rename(&d->held_against, job->asked.against, failure);
    return -1;
}

static int open_inputs(struct checkpoint_job *job, struct diff_job *d,
                       struct failure *failure)
{
    const struct wire_checkpoint *asked = &job->asked;
    struct checkpoint_options options;

    if (asked->against[0] == '\0')
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "against", "is missing");
    if (job_options(job, &options, failure) < 0)
        return -1;
    return job_open_side(job, "path", asked->path, &options, &d->held, &d->run.a,
                         failure) < 0
               ? -1
               : job_open_side(job, "against", asked->against, &options, &d->held_against,
                               &d->run.b, failure);
}

static int diff(struct checkpoint_job *job, struct diff_job *d, struct failure *failure)
{
    struct diffing *run = &d->run;

    if (open_inputs(job, d, failure) < 0)
        return -1;
    run->engine = &job->context->engine.engine;
    run->progress = &job->progress;
    if (diff_prepare(run) < 0)
        return failed(job, d, failure);
    job_expect(job, diff_bytes(run), diff_piece_count(run));
    if (diff_run(run) < 0)
        return failed(job, d, failure);
    return job_finish(job, diff_is_equal(run) ? TRIT_VERDICT_PASS : TRIT_VERDICT_FAIL,
                      diff_json(run, job->asked.path, job->asked.against), false,
                      failure);
}

static int run_job(struct checkpoint_job *job, struct failure *failure)
{
    struct diff_job d = {.held = {.fd = -1}, .held_against = {.fd = -1}};
    int result;

    diff_init(&d.run);
    result = diff(job, &d, failure);
    diff_fini(&d.run);
    rooted_close(&d.held);
    rooted_close(&d.held_against);
    return result;
}

const struct job_kind job_diff = {
    .name = "Diff",
    .fields = CHECKPOINT_DIFF_FIELDS,
    .run = run_job,
};
