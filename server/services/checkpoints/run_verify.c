/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "drive/verify.h"
#include "services/checkpoints/runs.h"
#include "services/checkpoints/source.h"

struct verify_job {
    struct rooted held, held_against;
    struct verifying run;
};

static int check(const struct wire_checkpoint *asked, struct failure *failure)
{
    if (asked->has_tolerance && !(asked->tolerance >= 0 && asked->tolerance < 0.5F))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "tolerance",
                          "%g; must be at least 0 and less than 0.5",
                          (double)asked->tolerance);
    if (asked->against[0] == '\0' &&
        asked->options.rename.count + asked->options.strip_prefix.count > 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT,
                          asked->options.rename.count ? "options.rename"
                                                      : "options.strip_prefix",
                          "needs `against`: names are compared with those of latents");
    if (asked->against[0] && asked->mode == TRIT_VERIFY_LATENT)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "against",
                          "not allowed with VERIFY_LATENT; the file is the latents");
    return 0;
}

static int open_all(struct checkpoint_job *job, struct verify_job *v,
                    struct failure *failure)
{
    const struct wire_checkpoint *asked = &job->asked;
    struct verifying *run = &v->run;

    if (check(asked, failure) < 0 || job_options(job, &run->options, failure) < 0 ||
        job_open(job, "path", asked->path, true, &v->held, &run->file, failure) < 0)
        return -1;
    return asked->against[0] ? job_open(job, "against", asked->against, true,
                                        &v->held_against, &run->against, failure)
                             : 0;
}

static void take_options(struct checkpoint_job *job, struct verifying *run)
{
    run->engine = &job->context->engine.engine;
    run->progress = &job->progress;
    run->mode = (enum trit_verify_mode)job->asked.mode;
    run->has_tolerance = job->asked.has_tolerance;
    run->tolerance = job->asked.tolerance;
    run->allow_dead = job->asked.allow_dead;
    run->detail = (enum trit_report_detail)job->asked.report;
    run->accept_record = job->asked.accept_record;
    run->layer = job_layer;
    run->owner = job;
}

static int failed(struct checkpoint_job *job, const struct verifying *run,
                  struct failure *failure)
{
    *failure = run->failure;
    return failure->status == TRIT_CANCELLED
               ? -1
               : fail_context(failure, "%.512s", job->asked.path);
}

static int finish(struct checkpoint_job *job, const struct verifying *run,
                  struct failure *failure)
{
    const char *against = job->asked.against[0] ? job->asked.against : NULL;
    json_t *layers = json_array();
    json_t *result = verify_json(run, job->asked.path, against, layers);

    json_decref(layers);
    return job_finish(job, findings_verdict(&run->findings), result, true, failure);
}

static int verify_all(struct checkpoint_job *job, struct verify_job *v,
                      struct failure *failure)
{
    struct verifying *run = &v->run;
    struct layer_terms terms;

    if (open_all(job, v, failure) < 0)
        return -1;
    take_options(job, run);
    if (verify_read_terms(run, &terms) < 0)
        return failed(job, run, failure);
    if (input_check_options(job->asked.path, &run->rules, &terms, run->file.reader,
                            run->against.reader, failure) < 0)
        return -1;
    if (verify_read_contents(run, &terms) < 0)
        return failed(job, run, failure);
    job_expect(job, verify_bytes(run), verify_piece_count(run));
    if (verify_run(run) < 0)
        return failed(job, run, failure);
    return finish(job, run, failure);
}

static int run_job(struct checkpoint_job *job, struct failure *failure)
{
    struct verify_job v = {.held = {.fd = -1}, .held_against = {.fd = -1}};
    int result;

    verify_init(&v.run);
    result = verify_all(job, &v, failure);
    verify_fini(&v.run);
    rooted_close(&v.held);
    rooted_close(&v.held_against);
    return result;
}

const struct job_kind job_verify = {
    .name = "Verify",
    .fields = CHECKPOINT_VERIFY_FIELDS,
    .run = run_job,
};
