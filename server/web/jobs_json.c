/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs over checkpoints as JSON. */
#include <jansson.h>

#include "json_value.h"
#include "web/handlers.h"
#include "web/job_rows.h"
#include "web/reply.h"

/* A message may have been cut within a character. */
static json_t *text_json_of(const char *text)
{
    json_t *json = json_string(text);

    return json ? json : json_string("(cannot be shown)");
}

static json_t *row_json(const struct job_row *row)
{
    const struct wire_job *job = &row->job;
    const struct wire_progress *progress = &row->progress;

    return json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:o, s:f, s:o}",
        "job", job->job, "method", job->method, "path", text_json_of(job->path),
        "against", text_json_of(job->against), "output", text_json_of(job->output),
        "state", job->state, "verdict", job->verdict, "status",
        status_name((enum trit_status)job->status), "message", text_json_of(job->message),
        "detach", (int)job->detach, "created_unix_ns", json_uint64(job->created_unix_ns),
        "started_unix_ns", json_uint64(job->started_unix_ns), "ended_unix_ns",
        json_uint64(job->ended_unix_ns), "tensors_done", json_uint64(job->tensors_done),
        "tensors_total", json_uint64(job->tensors_total), "tensors_reused",
        json_uint64(job->tensors_reused), "bytes_done", json_uint64(job->bytes_done),
        "bytes_total", json_uint64(job->bytes_total), "layer",
        text_json_of(progress->layer), "bytes_per_second", progress->bytes_per_second,
        "seconds_left",
        progress->seconds_left > 0 ? json_real(progress->seconds_left) : json_null());
}

static json_t *list_json(const struct job_rows *rows, size_t limit)
{
    json_t *list = json_array(), *next = json_null();

    for (size_t i = 0; i < rows->count; i++)
        if (json_array_append_new(list, row_json(&rows->rows[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    if (rows->more)
        next = json_sprintf("/v1/jobs?after=%s&limit=%zu",
                            rows->rows[rows->count - 1].job.job, limit);
    return json_pack("{s:o, s:o}", "jobs", list, "next", next);
}

int serve_jobs_json(const struct web_config *web, const struct request *request,
                    struct reply *reply, struct failure *failure)
{
    const size_t limit = request->has_limit && request->limit < PAGE_ROWS_MAX
                             ? (size_t)request->limit
                             : PAGE_ROWS_MAX;
    const struct job_query query = {.limit = limit, .after = request->after};
    struct job_rows rows;
    int result;

    if (job_rows_read(&rows, web, &query, failure) < 0)
        return -1;
    result = reply_json(reply, list_json(&rows, limit), failure);
    job_rows_fini(&rows);
    return result;
}

int serve_job_json(const struct web_config *web, const struct request *request,
                   struct reply *reply, struct failure *failure)
{
    struct job_rows rows;
    int result;

    if (job_rows_find(&rows, web, request->names[0], failure) < 0)
        return -1;
    result = reply_json(reply, row_json(&rows.rows[0]), failure);
    job_rows_fini(&rows);
    return result;
}
