/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that show a job: those that start one, and Attach. */
#ifndef CHECKPOINTS_STREAM_H
#define CHECKPOINTS_STREAM_H

struct checkpoint_job;

struct services;

/* The job has something to show, or has ended. Under the lock of the jobs. Its calls, which
 * may be on several loops, show it when these take SERVICES_JOBS. */
void streams_show(struct checkpoint_job *job);

/* Those of this loop whose job has something to show, show it. */
void streams_take_news(struct services *services);

#endif
