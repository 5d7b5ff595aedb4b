/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a projection, for jobs that show it and for those that carry it out. */
#ifndef CHECKPOINTS_PROJECTION_H
#define CHECKPOINTS_PROJECTION_H

#include "drive/project.h"
#include "services/checkpoints/source.h"

struct projection {
    struct rooted held, held_output;
    struct projecting run;
};

void projection_init(struct projection *projection);
void projection_fini(struct projection *projection);

/* Opens the input and makes the plan, with all its refusals. */
int projection_plan(struct checkpoint_job *job, struct projection *projection,
                    struct failure *failure);

/* Takes run.failure, whose message then names the paths of the request. Returns -1. */
int projection_failed(const struct checkpoint_job *job,
                      const struct projection *projection, struct failure *failure);

#endif
