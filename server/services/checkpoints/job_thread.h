/* SPDX-License-Identifier: Apache-2.0 */
/* A job on its thread, from its start to its end. */
#ifndef CHECKPOINTS_JOB_THREAD_H
#define CHECKPOINTS_JOB_THREAD_H

#include <stdbool.h>

#include "services/checkpoints/job.h"

/* The thread of the checkpoint_job `arg`. When it returns, the job has ended and its news is
 * posted. */
void *job_thread(void *arg);

/* Ends a job, also one that has no thread, and sets how->ended_ns. `keeps`: its file says so
 * before anybody sees it; `flush`: on the disk. */
void job_end(struct checkpoint_job *job, struct job_end *how, bool keeps, bool flush);

#endif
