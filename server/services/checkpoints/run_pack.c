/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/plan_pack.h"
#include "drive/pack.h"
#include "kernels/kernels.h"
#include "services/checkpoints/output.h"
#include "services/checkpoints/runs.h"
#include "services/checkpoints/source.h"

struct pack_job {
    struct rooted held, held_output;
    struct repacking run;
};

/* Takes run.failure, whose message then names the paths of the request. Returns -1. */
static int failed(const struct checkpoint_job *job, const struct pack_job *p,
                  struct failure *failure)
{
    *failure = p->run.failure;
    rooted_rename(&p->held_output, job->asked.output, failure);
    rooted_rename(&p->held, job->asked.path, failure);
    return -1;
}

/* The same after the layers were read; one that does not fit is refused. */
static int refused(const struct checkpoint_job *job, struct pack_job *p,
                   struct failure *failure)
{
    failed(job, p, failure);
    if (failure->status == TRIT_INVALID_ARGUMENT)
        snprintf(failure->field, sizeof(failure->field), "%s", JOB_FIELD_LAYERS);
    return -1;
}

static int check(const struct checkpoint_job *job, struct failure *failure)
{
    const struct wire_pack_target *target = &job->asked.target;
    const enum trit_dtype dtype = (enum trit_dtype)target->dtype;

    if (job->asked.output[0] == '\0' && !target->dry_run)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "output", "is missing");
    if (!encoding_layout((enum trit_encoding)target->encoding))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "encoding", "%u is unknown",
                          (unsigned)target->encoding);
    if (dtype != TRIT_DTYPE_UNSPECIFIED && dtype != TRIT_F32 && dtype != TRIT_F16 &&
        dtype != TRIT_BF16)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "dtype",
                          "%u; must be f32, f16 or bf16, or 0 for the record's",
                          (unsigned)target->dtype);
    return 0;
}

static int open_input(struct checkpoint_job *job, struct pack_job *p,
                      struct failure *failure)
{
    struct side *input = &p->run.input;
    struct checkpoint_options options;

    if (job_options(job, &options, failure) < 0 ||
        (job->asked.output[0] &&
         root_find_output(&job->context->root, "output", job->asked.output,
                          &p->held_output, failure) < 0))
        return -1;
    options.group_size = 0;
    options.has_partial_group = false;
    options.renames = options.strip_prefixes = (struct name_patterns){NULL, 0};
    return job_open_side(job, "path", job->asked.path, &options, &p->held, input,
                         failure) < 0
               ? -1
               : input_check_options(job->asked.path, &input->rules,
                                     &input->contents.terms, input->input.reader, NULL,
                                     failure);
}

static int make_plan(struct checkpoint_job *job, struct pack_job *p,
                     struct failure *failure)
{
    const struct pack_target target = {.encoding =
                                           (enum trit_encoding)job->asked.target.encoding,
                                       .group_size = job->asked.target.group_size,
                                       .dtype = (enum trit_dtype)job->asked.target.dtype};
    const char *output = job->asked.output;
    struct repacking *run = &p->run;

    run->input.rules.to_gguf = strcmp(writer_format(output), "gguf") == 0;
    if (plan_create_pack(&run->plan, &run->input.rules, &target,
                         run->input.contents.table, &run->input.record,
                         &run->failure) < 0 ||
        (output[0] && job_prepare_plan(job, &p->held, &p->held_output, &run->plan,
                                       run->input.input.reader, &run->failure) < 0)) {
        fail_context(&run->failure, "%.512s", job->asked.path);
        return failed(job, p, failure);
    }
    return 0;
}

static int write_output(struct checkpoint_job *job, struct pack_job *p,
                        struct failure *failure)
{
    struct repacking *run = &p->run;

    run->engine = &job->context->engine.engine;
    run->progress = &job->progress;
    run->allow_rounded = job->asked.target.allow_rounded;
    run->detail = (enum trit_report_detail)job->asked.report;
    run->layer = job_layer;
    run->owner = job;
    if (job_output_resume(job, &p->held_output, &run->plan, run->input.input.reader,
                          &run->writer, &run->resume, &run->failure) < 0)
        return failed(job, p, failure);
    job_expect(job, run->plan.bytes, plan_piece_count(&run->plan));
    if (pack_run(run) < 0)
        return refused(job, p, failure);
    if (job_output_commit(job, run->writer, TRIT_VERDICT_PASS,
                          pack_json(run, job->asked.path, job->asked.output), false,
                          &run->failure) < 0)
        return failed(job, p, failure);
    return 0;
}

static int pack(struct checkpoint_job *job, struct pack_job *p, struct failure *failure)
{
    const struct plan *plan = &p->run.plan;

    if (check(job, failure) < 0 || open_input(job, p, failure) < 0 ||
        make_plan(job, p, failure) < 0)
        return -1;
    if (job->asked.target.dry_run)
        return job_finish_plan(job, plan, failure);
    if (job_output_check(job, &p->held_output, &p->held, plan->terms.encoding, failure) <
        0)
        return -1;
    return plan_is_refused(plan) ? job_finish_plan(job, plan, failure)
                                 : write_output(job, p, failure);
}

static int run_job(struct checkpoint_job *job, struct failure *failure)
{
    struct pack_job p = {.held = {.fd = -1}, .held_output = {.fd = -1}};
    int result;

    pack_init(&p.run);
    result = pack(job, &p, failure);
    resume_close(p.run.resume, result < 0 && atomic_load(&job->interrupted));
    pack_fini(&p.run);
    rooted_close(&p.held);
    rooted_close(&p.held_output);
    return result;
}

const struct job_kind job_pack = {
    .name = "Pack",
    .fields = CHECKPOINT_PACK_FIELDS,
    .writes = true,
    .run = run_job,
};
