/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/output.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "checkpoint/plan_json.h"
#include "drive/planned.h"
#include "kernels/kernels.h"
#include "obs/metrics.h"
#include "services/checkpoints/kept.h"

int job_output_check(const struct checkpoint_job *job, const struct rooted *output,
                     const struct rooted *input, enum trit_encoding encoding,
                     struct failure *failure)
{
    const char *name = job->asked.output;
    const char *other = writer_other_format(name);

    if (other)
        return fail_field(
            failure, TRIT_INVALID_ARGUMENT, "output",
            "the name of \"%.512s\" says %s, but safetensors, .npy or .gguf "
            "is written",
            name, other);
    if (paths_are_same(output->path, input->path))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "output",
                          "\"%.512s\" is the input itself; name another file", name);
    if (strcmp(writer_format(name), "npy") == 0 && encoding != TRIT_ENCODING_DENSE)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "output",
                          "a .npy file cannot hold %s; name the output .safetensors",
                          encoding_name(encoding));
    return 0;
}

bool plan_is_refused(const struct plan *plan)
{
    return plan->refused || plan->refusal || plan->layers == 0;
}

int job_finish_plan(struct checkpoint_job *job, const struct plan *plan,
                    struct failure *failure)
{
    return job_finish(job, plan_is_refused(plan) ? TRIT_VERDICT_FAIL : TRIT_VERDICT_PASS,
                      plan_json(plan), false, failure);
}

/* Opens the journal. */
static int open_journal(const struct checkpoint_job *job, const char *output,
                        const struct plan *plan, const struct reader *reader,
                        enum target_mode *mode, struct resume **resume,
                        struct failure *failure)
{
    struct wire_checkpoint *asked = malloc(sizeof(*asked));
    uint8_t *bytes = malloc(CHECKPOINT_BYTES_MAX);
    struct resume_asked how = {.output = output,
                               .version = job->context->engine.version,
                               .request = bytes,
                               .flush_ns = job->context->flush_ns};
    const size_t named = strlen(job->kind->name) + 1;
    size_t encoded;
    int result = -1;

    if (asked && bytes) {
        *asked = job->asked;
        asked->detach = false; /* the output is the same */
        memcpy(bytes, job->kind->name, named);
        encoded = encode_checkpoint(asked, job->kind->fields, bytes + named,
                                    CHECKPOINT_BYTES_MAX - named);
        how.request_bytes = named + encoded;
        result = encoded ? resume_open(resume, &how, plan, reader, mode, failure) : 0;
    } else {
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    free(bytes);
    free(asked);
    return result;
}

int job_output_resume(struct checkpoint_job *job, const struct rooted *output,
                      struct plan *plan, struct reader *source, struct writer **writer,
                      struct resume **resume, struct failure *failure)
{
    enum target_mode mode = job->asked.force ? TARGET_REPLACE : TARGET_NEW;

    job->output_bytes = plan_sizes(plan).all;
    if (open_journal(job, output->path, plan, source, &mode, resume, failure) < 0 ||
        planned_create(writer, output->path, mode, plan, source, job->asked.shard_bytes,
                       failure) < 0)
        return fail_context(failure, "%.512s", job->asked.output);
    return *resume ? resume_begin(*resume, *writer, &job->progress, failure) : 0;
}

bool job_writes_output(const struct checkpoint_job *job)
{
    return job->kind->writes && job->asked.output[0] && !job->asked.target.dry_run;
}

void job_output_discard(const struct checkpoint_job *job)
{
    struct rooted output = {.fd = -1};

    if (job_writes_output(job) && root_find_output(&job->context->root, "output",
                                                   job->asked.output, &output, NULL) == 0)
        resume_discard(output.path);
    rooted_close(&output);
}

/* Gives the output its name. The job's file says before what that means. */
static int take_name(struct checkpoint_job *job, struct writer *writer,
                     const struct output_mark *mark, struct failure *failure)
{
    const struct job_end end = {
        .state = JOB_DONE, .ended_ns = clock_unix_ns(), .named = mark};

    job_keep(job, &end, true);
    return writer_commit(writer, failure) < 0
               ? fail_context(failure, "%.512s", job->asked.output)
               : 0;
}

static int finish_writing(struct checkpoint_job *job, struct writer *writer,
                          struct output_mark *mark, struct failure *failure)
{
    if (progress_check(&job->progress, failure) < 0 ||
        root_check(&job->context->root, failure) < 0)
        return -1;
    if (writer_finish(writer, mark, failure) < 0)
        return fail_context(failure, "%.512s", job->asked.output);
    return progress_check(&job->progress, failure);
}

int job_output_commit(struct checkpoint_job *job, struct writer *writer,
                      enum trit_verdict verdict, json_t *result, bool has_layers,
                      struct failure *failure)
{
    struct output_mark mark;

    if (finish_writing(job, writer, &mark, failure) < 0) {
        json_decref(result);
        return -1;
    }
    if (job_prepare(job, verdict, result, has_layers, failure) < 0)
        return -1;
    if (take_name(job, writer, &mark, failure) < 0) {
        job_drop_result(job);
        return -1;
    }
    job_show_result(job);
    metric_add(job->context->metrics, M_JOBS_WRITTEN_BYTES, job->output_bytes);
    return 0;
}

static bool output_is_named(const struct checkpoint_job *job)
{
    struct rooted output = {.fd = -1};
    bool named;

    if (job->named.inode == 0)
        return false;
    named = root_find_output(&job->context->root, "output", job->asked.output, &output,
                             NULL) == 0 &&
            output_mark_is_at(&job->named, output.path);
    rooted_close(&output);
    return named;
}

bool job_output_was_named(struct checkpoint_job *job)
{
    const struct job_end end = {.state = JOB_DONE, .ended_ns = job->ended_ns};

    if (output_is_named(job)) {
        job_show_result(job);
        job_output_discard(job); /* the journal, and a folder that was replaced */
        job_keep(job, &end, true);
        job->state = JOB_DONE;
        return true;
    }
    job_drop_result(job);
    job->ended_ns = 0;
    job->progress.done = job->progress.pieces = job->progress.reused = 0;
    return false;
}
