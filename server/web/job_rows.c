/* SPDX-License-Identifier: Apache-2.0 */
#include "web/job_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

struct reading {
    struct job_rows *rows;
    size_t limit, skip;
    const char *after; /* of jobs that come first, until it was seen; NULL: it was */
    const char *only;  /* or NULL */
    bool failed;
};

void job_rows_fini(struct job_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        free(rows->rows[i].texts);
    free(rows->rows);
    *rows = (struct job_rows){.count = 0};
}

/* Replaces the texts by copies. */
static int own_texts(struct job_row *row)
{
    const char **const texts[] = {
        &row->job.job,     &row->job.method,  &row->job.path,
        &row->job.against, &row->job.output,  &row->job.state,
        &row->job.verdict, &row->job.message, &row->progress.layer,
    };
    enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };
    size_t bytes = 0;
    char *at;

    for (size_t i = 0; i < TEXTS; i++)
        bytes += strlen(*texts[i] ? *texts[i] : "") + 1;
    row->texts = at = malloc(bytes);
    if (!at)
        return -1;
    for (size_t i = 0; i < TEXTS; i++) {
        const char *from = *texts[i] ? *texts[i] : "";

        *texts[i] = strcpy(at, from);
        at += strlen(from) + 1;
    }
    return 0;
}

static bool add(struct reading *reading, const struct wire_job *job,
                const struct wire_progress *progress)
{
    struct job_rows *rows = reading->rows;
    struct job_row row = {.job = *job, .progress = *progress};
    struct job_row *grown =
        array_grow(rows->rows, &rows->capacity, rows->count + 1, sizeof(*grown));

    if (grown)
        rows->rows = grown;
    reading->failed = !grown || own_texts(&row) < 0;
    if (reading->failed)
        return false;
    rows->rows[rows->count++] = row;
    return true;
}

static bool visit(void *arg, const struct wire_job *job,
                  const struct wire_progress *progress)
{
    struct reading *reading = arg;

    if (reading->only)
        return strcmp(job->job, reading->only) != 0 ||
               (add(reading, job, progress) && false);
    if (reading->after) {
        if (strcmp(job->job, reading->after) == 0)
            reading->after = NULL;
        return true;
    }
    if (reading->skip > 0) {
        reading->skip--;
        return true;
    }
    reading->rows->more = reading->rows->count == reading->limit;
    return !reading->rows->more && add(reading, job, progress);
}

static int read_all(const struct web_config *web, struct reading *reading,
                    struct failure *failure)
{
    int result;

    if (!web->jobs)
        return fail(failure, TRIT_NOT_FOUND, NULL,
                    "there are no jobs: the service Checkpoints is off; start tritd with "
                    "--checkpoint-root DIR");
    result = web->jobs(web->jobs_arg, visit, reading, failure);
    if (result == 0 && reading->failed)
        result = fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (result < 0)
        job_rows_fini(reading->rows);
    return result;
}

static int no_job(struct job_rows *rows, const char *name, struct failure *failure)
{
    job_rows_fini(rows);
    return fail(failure, TRIT_NOT_FOUND, NULL,
                "no job is called \"%.64s\", or it ended and is no longer kept", name);
}

int job_rows_read(struct job_rows *rows, const struct web_config *web,
                  const struct job_query *query, struct failure *failure)
{
    struct reading reading = {.rows = rows,
                              .limit = query->limit,
                              .skip = query->skip,
                              .after = query->after[0] ? query->after : NULL};

    *rows = (struct job_rows){.count = 0};
    if (read_all(web, &reading, failure) < 0)
        return -1;
    return reading.after ? no_job(rows, reading.after, failure) : 0;
}

int job_rows_find(struct job_rows *rows, const struct web_config *web, const char *name,
                  struct failure *failure)
{
    struct reading reading = {.rows = rows, .only = name};

    *rows = (struct job_rows){.count = 0};
    if (read_all(web, &reading, failure) < 0)
        return -1;
    return rows->count == 0 ? no_job(rows, name, failure) : 0;
}
