/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "services/checkpoints/output.h"
#include "services/checkpoints/projection.h"
#include "services/checkpoints/runs.h"

static json_t *result_of(const struct checkpoint_job *job, const struct projecting *run)
{
    json_t *layers = json_array();
    json_t *result = project_json(run, job->asked.path, job->asked.output, layers);

    json_decref(layers);
    return result;
}

/* Refuses scales that the output's type rounds to 0 or infinity. */
static int refuse_lost(const struct projecting *run, struct failure *failure)
{
    char text[FINDING_TEXT_BYTES];

    for (size_t i = 0; i < run->findings.count; i++)
        if (run->findings.list[i].finding.kind == TRIT_FINDING_SCALE_LOST)
            return fail(failure, TRIT_FAILED_PRECONDITION, JOB_FIELD_LAYERS,
                        "nothing is written: %zu layers lose scales, the first of them: "
                        "%.512s; allow_lost_scales writes them anyway",
                        run->lost, finding_text(text, &run->findings.list[i]));
    return fail(failure, TRIT_FAILED_PRECONDITION, JOB_FIELD_LAYERS,
                "nothing is written: %zu layers lose scales", run->lost);
}

static int write_output(struct checkpoint_job *job, struct projection *projection,
                        struct failure *failure)
{
    struct projecting *run = &projection->run;

    run->engine = &job->context->engine.engine;
    run->progress = &job->progress;
    run->allow_lost = job->asked.allow_lost;
    run->detail = (enum trit_report_detail)job->asked.report;
    run->layer = job_layer;
    run->owner = job;
    if (job_output_resume(job, &projection->held_output, &run->plan, run->input.reader,
                          &run->writer, &run->resume, &run->failure) < 0)
        return projection_failed(job, projection, failure);
    job_expect(job, run->plan.bytes, plan_piece_count(&run->plan));
    if (project_run(run) < 0)
        return projection_failed(job, projection, failure);
    if (run->lost)
        return refuse_lost(run, failure);
    if (job_output_commit(job, run->writer, project_verdict(run), result_of(job, run),
                          true, &run->failure) < 0)
        return projection_failed(job, projection, failure);
    return 0;
}

static int project(struct checkpoint_job *job, struct projection *projection,
                   struct failure *failure)
{
    if (job->asked.output[0] == '\0')
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "output", "is missing");
    if (projection_plan(job, projection, failure) < 0 ||
        job_output_check(job, &projection->held_output, &projection->held,
                         projection->run.terms.encoding, failure) < 0)
        return -1;
    return plan_is_refused(&projection->run.plan)
               ? job_finish_plan(job, &projection->run.plan, failure)
               : write_output(job, projection, failure);
}

static int run_job(struct checkpoint_job *job, struct failure *failure)
{
    struct projection projection;
    int result;

    projection_init(&projection);
    result = project(job, &projection, failure);
    resume_close(projection.run.resume, result < 0 && atomic_load(&job->interrupted));
    projection_fini(&projection);
    return result;
}

const struct job_kind job_project = {
    .name = "Project",
    .fields = CHECKPOINT_PROJECT_FIELDS,
    .writes = true,
    .run = run_job,
};
