/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/projection.h"

#include <string.h>

void projection_init(struct projection *projection)
{
    projection->held = projection->held_output = (struct rooted){.fd = -1};
    project_init(&projection->run);
}

void projection_fini(struct projection *projection)
{
    project_fini(&projection->run);
    rooted_close(&projection->held);
    rooted_close(&projection->held_output);
}

int projection_failed(const struct checkpoint_job *job,
                      const struct projection *projection, struct failure *failure)
{
    *failure = projection->run.failure;
    rooted_rename(&projection->held_output, job->asked.output, failure);
    rooted_rename(&projection->held, job->asked.path, failure);
    return -1;
}

/* Layers that are ternary already are found by some of their data. */
static int refuse_ternary(struct checkpoint_job *job, struct projecting *run)
{
    size_t count;

    return job->asked.again || run->plan.refusal ? 0 : project_probe(run, &count);
}

static int open_input(struct checkpoint_job *job, struct projection *projection,
                      struct checkpoint_options *rules, struct failure *failure)
{
    struct projecting *run = &projection->run;

    if (job_options(job, rules, failure) < 0 ||
        (job->asked.output[0] &&
         root_find_output(&job->context->root, "output", job->asked.output,
                          &projection->held_output, failure) < 0) ||
        job_open(job, "path", job->asked.path, false, &projection->held, &run->input,
                 failure) < 0 ||
        job_check_notes(job->asked.path, &run->input, failure) < 0)
        return -1;
    rules->config = run->input.has_config ? &run->input.config : NULL;
    const struct layer_terms terms = terms_of(rules, NULL);
    return input_check_options(job->asked.path, rules, &terms, run->input.reader, NULL,
                               failure);
}

int projection_plan(struct checkpoint_job *job, struct projection *projection,
                    struct failure *failure)
{
    struct projecting *run = &projection->run;
    struct checkpoint_options rules;

    if (open_input(job, projection, &rules, failure) < 0)
        return -1;
    run->terms = (struct layer_terms){.encoding = rules.encoding,
                                      .group_size = rules.group_size,
                                      .partial_group = rules.partial_group};
    rules.to_gguf = strcmp(writer_format(job->asked.output), "gguf") == 0;
    if (plan_create(&run->plan, &rules, job->asked.again, reader_table(run->input.reader),
                    &run->failure) < 0 ||
        (job->asked.output[0] &&
         job_prepare_plan(job, &projection->held, &projection->held_output, &run->plan,
                          run->input.reader, &run->failure) < 0) ||
        refuse_ternary(job, run) < 0) {
        fail_context(&run->failure, "%.512s", job->asked.path);
        return projection_failed(job, projection, failure);
    }
    return 0;
}
