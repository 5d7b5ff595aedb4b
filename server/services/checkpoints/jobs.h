/* SPDX-License-Identifier: Apache-2.0 */
/* The table of jobs: which run, which wait, and which are kept after their end. The calls of
 * any loop use it, under its lock; news of jobs come to the loop of the mailbox. */
#ifndef CHECKPOINTS_JOBS_H
#define CHECKPOINTS_JOBS_H

#include "services/checkpoints/context.h"
#include "services/checkpoints/job.h"
#include "services/checkpoints/kept.h"

struct jobs_limits {
    uint32_t running_max; /* further ones wait */
    uint32_t waiting_max; /* RESOURCE_EXHAUSTED */
    uint32_t kept_max;    /* that have ended; the oldest are forgotten */
    uint32_t kept_s;      /* so are those that ended so long ago */
    uint32_t flush_ms;    /* see drive/resume.h */
};

enum {
    /* Charged to the memory budget while a job runs: buffers of its threads. */
    JOB_BYTES = 64 << 20,
    JOBS_KEPT_DIVISOR = 16, /* of the budget, for what ended jobs keep */
    /* A detached job that did not end after so many daemons is not started by itself: it may
     * be why they ended. */
    JOB_STARTS_MAX = 3,
};

struct jobs {
    /* Recursive, because a call that ends while it shows its job leaves it. */
    pthread_mutex_t lock;
    struct job_context context;
    struct kept folder; /* of the jobs' files */
    struct jobs_limits limits;
    struct list list; /* the oldest first */
    size_t running, waiting, kept;
    _Atomic uint64_t
        version; /* changes with what is shown of jobs; any thread reads it */
    /* Called under the lock when a job has something to show, or has ended. */
    void (*news)(struct checkpoint_job *job);
};

/* All is borrowed. */
struct jobs_config {
    const char *directory; /* the root; NULL: the service is off */
    const char *data;      /* the data directory; NULL: jobs end with the daemon */
    struct log *log;       /* or NULL */
    struct jobs_limits limits;
    const struct kernels *kernels;
    struct pool *pool;
    struct budget *budget;
    struct mailbox *mailbox;
    struct metrics *metrics;
    const char *version;
    void (*news)(struct checkpoint_job *job); /* see struct jobs */
};

/* Jobs of an earlier daemon are in the table; those that were detached go on. */
int jobs_create(struct jobs **jobs, const struct jobs_config *config,
                struct failure *failure);

/* Around the functions below, except jobs_stop and jobs_destroy. */
void jobs_lock(struct jobs *jobs);
void jobs_unlock(struct jobs *jobs);

/* Interrupts all jobs and waits for their threads. The next daemon goes on with those that
 * are detached. Before pool_stop. */
void jobs_stop(struct jobs *jobs);
void jobs_destroy(struct jobs *jobs); /* after jobs_stop; NULL is harmless to both */

/* Is there a root? FAILED_PRECONDITION says what to set. */
int jobs_check(const struct jobs *jobs, struct failure *failure);

/* Takes a reference to the job, and starts it now or later. RESOURCE_EXHAUSTED: too many
 * wait. */
int jobs_add(struct jobs *jobs, struct checkpoint_job *job, struct failure *failure);

/* Forgets jobs that ended long ago. */
void jobs_forget_old(struct jobs *jobs);

/* NULL: there is none of that name. */
struct checkpoint_job *jobs_find(const struct jobs *jobs, const char *id);

/* Cancels the job, if it has not ended. Of an interrupted one the unfinished output is
 * removed. */
void jobs_cancel(struct jobs *jobs, struct checkpoint_job *job);

#endif
