/* SPDX-License-Identifier: Apache-2.0 */
/* A call of the service Checkpoints that streams the progress of a job. */
#ifndef LIB_JOB_STREAM_H
#define LIB_JOB_STREAM_H

#include "client/lib/call.h"

struct job_stream {
    const uint8_t *request; /* borrowed */
    size_t request_bytes;
    struct trit_job_progress *progress; /* the caller's */
    int (*visit)(void *arg, const struct trit_job_progress *progress);
    void *arg;
};

/* -1: *failure. A visit that wants no more ends the call, and is no failure. */
int job_stream_run(const struct job_stream *stream, const char *path,
                   const struct call *call, struct failure *failure);

#endif
