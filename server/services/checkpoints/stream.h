/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that show a job: those that start one, and Attach. */
#ifndef CHECKPOINTS_STREAM_H
#define CHECKPOINTS_STREAM_H

struct checkpoint_job;

/* The job has something to show, or has ended. On the loop. */
void streams_show(struct checkpoint_job *job);

#endif
