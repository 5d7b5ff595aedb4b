/* SPDX-License-Identifier: Apache-2.0 */
/* What a job writes: the file or folder that `output` of its request names. It gets its name
 * when it is whole and on disk. */
#ifndef CHECKPOINTS_OUTPUT_H
#define CHECKPOINTS_OUTPUT_H

#include "checkpoint/plan.h"
#include "drive/resume.h"
#include "files/reader.h"
#include "files/writer.h"
#include "services/checkpoints/context.h"
#include "services/checkpoints/job.h"

/* INVALID_ARGUMENT: the name has the ending of another format, or one that cannot hold the
 * encoding; or it is that of the input. */
int job_output_check(const struct checkpoint_job *job, const struct rooted *output,
                     const struct rooted *input, enum trit_encoding encoding,
                     struct failure *failure);

/* Does the plan refuse something? Then there is no output, and the plan is the result. */
bool plan_is_refused(const struct plan *plan);
/* Ends the job with the plan. */
int job_finish_plan(struct checkpoint_job *job, const struct plan *plan,
                    struct failure *failure);

/* Opens the output of the plan. The run goes on with what a job of an earlier daemon left
 * unfinished. Close *resume (may be NULL) before the writer. ALREADY_EXISTS: see
 * checkpoints.proto. */
int job_output_resume(struct checkpoint_job *job, const struct rooted *output,
                      struct plan *plan, struct reader *source, struct writer **writer,
                      struct resume **resume, struct failure *failure);

/* Does the job write what `output` names? A plan and a dry run only speak of it. */
bool job_writes_output(const struct checkpoint_job *job);

/* Removes what an interrupted job left unfinished. */
void job_output_discard(const struct checkpoint_job *job);

/* Gives it its name, unless the job was cancelled meanwhile, and finishes the job with the
 * result (job_finish). Before it has its name, the job's file says that it is done if it has:
 * a daemon that is killed between the two leaves no job that would begin again. */
int job_output_commit(struct checkpoint_job *job, struct writer *writer,
                      enum trit_verdict verdict, struct json_t *result, bool has_layers,
                      struct failure *failure);

/* Of a job that had not ended when its daemon did: was its output named? Then it is done.
 * Otherwise it is as one that has not begun. */
bool job_output_was_named(struct checkpoint_job *job);

#endif
