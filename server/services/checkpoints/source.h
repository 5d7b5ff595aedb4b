/* SPDX-License-Identifier: Apache-2.0 */
/* What a job reads: a path of its request, found below the root and opened. */
#ifndef CHECKPOINTS_SOURCE_H
#define CHECKPOINTS_SOURCE_H

#include "checkpoint/options.h"
#include "drive/input.h"
#include "services/checkpoints/context.h"
#include "services/checkpoints/job.h"

struct plan;
struct side;

/* Opens the checkpoint that the request's `field` names. `held` keeps its folder; close it
 * after the input. RESOURCE_EXHAUSTED: the budget has no room for its tables. */
int job_open(struct checkpoint_job *job, const char *field, const char *path,
             bool may_be_cut, struct rooted *held, struct input *input,
             struct failure *failure);

/* INVALID_ARGUMENT: index and shards of a folder contradict each other, so a copy of it would
 * lack tensors. */
int job_check_notes(const char *path, const struct input *input, struct failure *failure);

/* As job_open, with job_check_notes, for a checkpoint whose layers are read as the options and
 * its own record say. side_close is due in any case. */
int job_open_side(struct checkpoint_job *job, const char *field, const char *path,
                  const struct checkpoint_options *options, struct rooted *held,
                  struct side *side, struct failure *failure);

/* planned_prepare for the output `held_output` of a plan whose input is `held`. A GGUF output
 * is named after the folder in the request's path. */
int job_prepare_plan(const struct checkpoint_job *job, const struct rooted *held,
                     const struct rooted *held_output, struct plan *plan,
                     struct reader *reader, struct failure *failure);

/* Checks the request's options, and gives them. Borrows their strings. INVALID_ARGUMENT: an
 * enum's value is unknown. */
int job_options(const struct checkpoint_job *job, struct checkpoint_options *options,
                struct failure *failure);

#endif
