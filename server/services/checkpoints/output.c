/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/output.h"

#include <stdlib.h>
#include <string.h>

#include "checkpoint/plan_json.h"
#include "drive/planned.h"
#include "kernels/kernels.h"
#include "obs/metrics.h"

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

void job_output_discard(const struct checkpoint_job *job)
{
    struct rooted output = {.fd = -1};

    if (job->asked.output[0] && root_find_output(&job->context->root, "output",
                                                 job->asked.output, &output, NULL) == 0)
        resume_discard(output.path);
    rooted_close(&output);
}

int job_output_commit(struct checkpoint_job *job, struct writer *writer,
                      struct failure *failure)
{
    if (progress_check(&job->progress, failure) < 0)
        return -1;
    if (writer_commit(writer, failure) < 0)
        return fail_context(failure, "%.512s", job->asked.output);
    metric_add(job->context->metrics, M_JOBS_WRITTEN_BYTES, job->output_bytes);
    return 0;
}
