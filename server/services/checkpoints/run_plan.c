/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/plan_json.h"
#include "drive/project.h"
#include "services/checkpoints/runs.h"
#include "services/checkpoints/source.h"

/* Finds layers that are ternary already, which takes some of their data. */
static int probe(struct checkpoint_job *job, struct projecting *p)
{
    size_t count;

    if (job->asked.again || p->plan.refusal)
        return 0;
    return project_probe(p, &count);
}

static int plan(struct checkpoint_job *job, struct projecting *p, struct rooted *held,
                struct failure *failure)
{
    struct checkpoint_options rules;

    if (job_options(job, &rules, failure) < 0 ||
        job_open(job, "path", job->asked.path, false, held, &p->input, failure) < 0)
        return -1;
    rules.config = p->input.has_config ? &p->input.config : NULL;
    const struct layer_terms terms = terms_of(&rules, NULL);
    if (input_check_options(job->asked.path, &rules, &terms, p->input.reader, NULL,
                            failure) < 0)
        return -1;
    if (plan_create(&p->plan, &rules, job->asked.again, reader_table(p->input.reader),
                    &p->failure) < 0 ||
        probe(job, p) < 0) {
        *failure = p->failure;
        return fail_context(failure, "%.512s", job->asked.path);
    }
    return job_finish(job,
                      p->plan.refused || p->plan.refusal || p->plan.layers == 0
                          ? TRIT_VERDICT_FAIL
                          : TRIT_VERDICT_PASS,
                      plan_json(&p->plan), false, failure);
}

static int run(struct checkpoint_job *job, struct failure *failure)
{
    struct rooted held = {.fd = -1};
    struct projecting p;
    int result;

    project_init(&p);
    result = plan(job, &p, &held, failure);
    project_fini(&p);
    rooted_close(&held);
    return result;
}

const struct job_kind job_plan = {
    .name = "Plan",
    .fields = CHECKPOINT_PLAN_FIELDS,
    .run = run,
};
