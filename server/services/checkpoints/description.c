/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/description.h"

void job_describe(struct checkpoint_job *job, struct job_description *description)
{
    const struct job_snapshot *now = &description->now;

    job_snapshot(job, &description->now);
    description->job = (struct wire_job){
        .job = job->id,
        .method = job->kind->name,
        .path = job->asked.path,
        .against = job->asked.against,
        .output = job->asked.output,
        .state = now->progress.state,
        .detach = job->asked.detach,
        .created_unix_ns = (uint64_t)job->created_ns,
        .started_unix_ns = (uint64_t)now->started_ns,
        .ended_unix_ns = (uint64_t)now->ended_ns,
        .tensors_done = now->progress.tensors_done,
        .tensors_total = now->progress.tensors_total,
        .tensors_reused = now->progress.tensors_reused,
        .bytes_done = now->progress.bytes_done,
        .bytes_total = now->progress.bytes_total,
        .verdict = now->progress.verdict,
        .status = (uint32_t)now->failure.status,
        .message = now->failure.message,
    };
}
