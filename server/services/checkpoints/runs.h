/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of jobs. */
#ifndef CHECKPOINTS_RUNS_H
#define CHECKPOINTS_RUNS_H

#include "services/checkpoints/job.h"

extern const struct job_kind job_inspect, job_plan, job_verify, job_project, job_pack,
    job_diff;

#endif
