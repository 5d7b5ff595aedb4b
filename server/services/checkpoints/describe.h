/* SPDX-License-Identifier: Apache-2.0 */
/* What is shown of jobs: by Checkpoints.Jobs, on pages and in JSON. */
#ifndef CHECKPOINTS_DESCRIBE_H
#define CHECKPOINTS_DESCRIBE_H

#include "services/checkpoints/description.h"
#include "services/checkpoints/jobs.h"

/* Shows the jobs, the newest first, until `visit` returns false. Texts are valid until it
 * returns. Any thread, and without a lock while `visit` runs. -1: RESOURCE_EXHAUSTED. */
int jobs_visit(struct jobs *jobs,
               bool (*visit)(void *arg, const struct wire_job *job,
                             const struct wire_progress *progress),
               void *arg, struct failure *failure);

#endif
