/* SPDX-License-Identifier: Apache-2.0 */
/* A job as calls, pages and its file show it. */
#ifndef CHECKPOINTS_DESCRIPTION_H
#define CHECKPOINTS_DESCRIPTION_H

#include "services/checkpoints/job.h"

/* Texts are valid while the job is held and the description stays where it is. */
struct job_description {
    struct job_snapshot now;
    struct wire_job job;
};
void job_describe(struct checkpoint_job *job, struct job_description *description);

#endif
