/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs over checkpoints as pages and JSON show them. */
#ifndef WEB_JOB_ROWS_H
#define WEB_JOB_ROWS_H

#include "proto/codec/checkpoints.h"
#include "web/request.h"

struct job_row { /* texts are never NULL; the row owns them */
    struct wire_job job;
    struct wire_progress progress;
    char *texts;
};

struct job_rows {
    struct job_row *rows; /* the newest first */
    size_t count, capacity;
    bool more; /* there are older ones */
};

/* Which jobs: at most `limit` behind the first `skip`, or behind the job named `after`. */
struct job_query {
    size_t limit, skip;
    const char *after; /* or "" */
};

/* NOT_FOUND: the daemon has no checkpoint root, or `after` is not kept.
 * RESOURCE_EXHAUSTED. */
int job_rows_read(struct job_rows *rows, const struct web_config *web,
                  const struct job_query *query, struct failure *failure);

/* The one job of that name. NOT_FOUND: there is none. */
int job_rows_find(struct job_rows *rows, const struct web_config *web, const char *name,
                  struct failure *failure);

void job_rows_fini(struct job_rows *rows);

#endif
