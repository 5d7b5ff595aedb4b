/* SPDX-License-Identifier: Apache-2.0 */
/* What the runs of jobs use; constant while there are jobs. */
#ifndef CHECKPOINTS_CONTEXT_H
#define CHECKPOINTS_CONTEXT_H

#include "services/checkpoints/engine.h"
#include "services/checkpoints/root.h"

struct budget;
struct kept;
struct log;
struct mailbox;
struct metrics;

struct job_context {
    struct root root;
    const struct kept *kept;
    struct log *log; /* or NULL */
    struct kernel_engine engine;
    struct mailbox *mailbox;
    struct budget *budget;
    struct metrics *metrics;
    uint64_t flush_ns; /* see drive/resume.h */
};

#endif
