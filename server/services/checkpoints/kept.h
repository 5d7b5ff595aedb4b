/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs outlive the daemon: the folder `jobs` in the data directory has a file for each job of
 * the table, with its request, what became of it, and, if it ended, its log. A file is
 * replaced as a whole. One that is damaged is told, and stays where it is. */
#ifndef CHECKPOINTS_KEPT_H
#define CHECKPOINTS_KEPT_H

#include "base/held_path.h"
#include "services/checkpoints/job.h"

struct dirent;

struct kept {
    int fd; /* of the folder; -1: nothing is kept */
    struct held_path place;
};

/* `directory` is the data directory; NULL: nothing is kept. UNAVAILABLE: the folder cannot be
 * created or opened. */
int kept_open(struct kept *kept, const char *directory, struct failure *failure);
/* Opens the folder if it exists; otherwise nothing is kept. */
int kept_find(struct kept *kept, const char *directory, struct failure *failure);
void kept_close(struct kept *kept);

/* Writes the job, which is about to end so, or ends so with the name of its output
 * (end->named); `end` NULL: it waits or runs. `flush`: it is on the disk afterwards. On any
 * thread, one at a time for a job. -1: *failure. */
int kept_write(const struct kept *kept, struct checkpoint_job *job,
               const struct job_end *end, bool flush, struct failure *failure);
/* Writes it in the folder of its context. Where that fails the job goes on; it only does not
 * outlive the daemon. */
void job_keep(struct checkpoint_job *job, const struct job_end *end, bool flush);
/* Marks the job as interrupted: its daemon ended first, and it does not start again by
 * itself. */
void job_interrupt(struct checkpoint_job *job);

void kept_remove(const struct kept *kept, const struct checkpoint_job *job);

/* ---- for kept_read.h ---- */

/* Is it the name of a job's file? For scandirat. */
int kept_is_job(const struct dirent *entry);
/* Fails by errno: "jobs: cannot WHAT NAME: ...". */
int kept_fail(struct failure *failure, const char *what, const char *name);

#endif
