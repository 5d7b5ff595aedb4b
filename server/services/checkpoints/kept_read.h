/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the files of jobs (kept.h). */
#ifndef CHECKPOINTS_KEPT_READ_H
#define CHECKPOINTS_KEPT_READ_H

#include "services/checkpoints/kept.h"

struct kept_visitor {
    const struct job_context *context;
    void *arg;
    /* Takes the reference. The state is that in the file. NULL: the job is only checked. */
    void (*job)(void *arg, struct checkpoint_job *job);
    void (*damaged)(void *arg, const char *message);
};
/* Reads all files, in any order. -1: the folder cannot be read, or no memory. */
int kept_read(const struct kept *kept, const struct kept_visitor *visitor,
              struct failure *failure);

/* For --check-data. A data directory without jobs is intact. */
struct kept_counts {
    uint64_t jobs, damaged;
};
int kept_check(const char *directory, void (*damaged)(void *arg, const char *message),
               void *arg, struct kept_counts *counts, struct failure *failure);

#endif
