/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/output.h"
#include "services/checkpoints/projection.h"
#include "services/checkpoints/runs.h"

static int run(struct checkpoint_job *job, struct failure *failure)
{
    struct projection projection;
    int result;

    projection_init(&projection);
    result = projection_plan(job, &projection, failure);
    if (result == 0)
        result = job_finish_plan(job, &projection.run.plan, failure);
    projection_fini(&projection);
    return result;
}

const struct job_kind job_plan = {
    .name = "Plan",
    .fields = CHECKPOINT_PLAN_FIELDS,
    .run = run,
};
