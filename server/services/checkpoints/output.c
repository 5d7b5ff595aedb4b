/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/output.h"

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

int job_output_create(struct checkpoint_job *job, const struct rooted *output,
                      struct plan *plan, struct reader *source, struct writer **writer,
                      struct failure *failure)
{
    job->output_bytes = plan_sizes(plan).all;
    return planned_create(writer, output->path,
                          job->asked.force ? TARGET_REPLACE : TARGET_NEW, plan, source,
                          job->asked.shard_bytes, failure) < 0
               ? fail_context(failure, "%.512s", job->asked.output)
               : 0;
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
