/* SPDX-License-Identifier: Apache-2.0 */
/* trit jobs: jobs over checkpoints on the daemon's disk. This file lists and cancels them;
 * cmd_jobs_run.c starts and watches them. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/escape.h"
#include "client/cli/grid.h"
#include "client/cli/jobs.h"
#include "client/cli/report_rows.h"
#include "proto/json_value.h"

/* ---- list ---------------------------------------------------------------------------- */

struct listing {
    struct grid *grid; /* what is shown: this, */
    json_t *jobs;      /* or this */
    size_t count;
};

static json_t *job_json(const struct trit_job *job)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o}",
        "job", job->job, "method", job->method, "path", job->path, "against",
        job->against, "output", job->output, "state", job->state, "verdict", job->verdict,
        "status", trit_status_name(job->status), "message", job->message, "detach",
        (int)job->detach, "created_unix_ns", json_int64(job->created_unix_ns),
        "started_unix_ns", json_int64(job->started_unix_ns), "ended_unix_ns",
        json_int64(job->ended_unix_ns), "tensors_done", json_uint64(job->tensors_done),
        "tensors_total", json_uint64(job->tensors_total), "tensors_reused",
        json_uint64(job->tensors_reused), "bytes_done", json_uint64(job->bytes_done),
        "bytes_total", json_uint64(job->bytes_total));
}

static void job_row(struct grid *grid, const struct trit_job *job)
{
    char time[TIME_TEXT_BYTES];

    grid_cell(grid, "%s", job->job);
    grid_cell(grid, "%s", job->method);
    grid_cell(grid, "%s", job->path);
    grid_cell(grid, "%s", time_text(time, job->created_unix_ns));
    grid_cell(grid, "%.1f %%",
              job->bytes_total
                  ? 100.0 * (double)job->bytes_done / (double)job->bytes_total
                  : 0.0);
    grid_cell(grid, "%s", job->verdict[0] ? job->verdict : job->state);
    grid_cell(grid, "%s", job->message);
}

static int visit_job(void *arg, const struct trit_job *job)
{
    struct listing *listing = arg;

    listing->count++;
    if (!listing->grid)
        return json_array_append_new(listing->jobs, job_json(job));
    job_row(listing->grid, job);
    return 0;
}

static enum exit_code show(const struct listing *listing)
{
    if (!listing->grid) {
        if (json_array_size(listing->jobs) != listing->count)
            return complain(FAILED, "out of memory");
        return print_json(json_pack("{s:O}", "jobs", listing->jobs), DONE);
    }
    if (listing->count == 0) {
        puts("no jobs");
        return DONE;
    }
    return grid_print(listing->grid, stdout) == 0 ? DONE
                                                  : complain(FAILED, "out of memory");
}

static enum exit_code list(struct trit_client *client, const struct options *options)
{
    static const struct grid_column columns[] = {
        {"job", GRID_LEFT},   {"method", GRID_LEFT}, {"path", GRID_LEFT},
        {"begun", GRID_LEFT}, {"done", GRID_RIGHT},  {"state", GRID_LEFT},
        {"why", GRID_LEFT},
    };
    const bool json = option_given(options, OPTION_JSON);
    struct listing listing = {
        .grid = json ? NULL : grid_create(columns, sizeof(columns) / sizeof(columns[0])),
        .jobs = json ? json_array() : NULL,
    };
    struct trit_job job = TRIT_JOB_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    enum exit_code code = FAILED;

    if (!listing.grid && !listing.jobs)
        complain(FAILED, "out of memory");
    else if (trit_job_list(client, NULL, &job, visit_job, &listing, &error) != TRIT_OK)
        complain_of_call(&error);
    else
        code = show(&listing);
    grid_destroy(listing.grid);
    json_decref(listing.jobs);
    return code;
}

static enum exit_code run_list(const struct options *options)
{
    return cli_with_client(list, options);
}

static const struct command cmd_jobs_list = {
    .name = "jobs list",
    .arguments = "[OPTION...]",
    .summary = "list the jobs that wait, run, or have ended",
    .options = JOBS_OPTIONS,
    .run = run_list,
};

/* ---- cancel -------------------------------------------------------------------------- */

/* The state of one job. */
struct wanted {
    const char *name;
    char state[16];
};

static int visit_wanted(void *arg, const struct trit_job *job)
{
    struct wanted *wanted = arg;

    if (strcmp(job->job, wanted->name) != 0)
        return 0;
    snprintf(wanted->state, sizeof(wanted->state), "%s", job->state);
    return 1;
}

static int ignore_progress(void *arg, const struct trit_job_progress *progress)
{
    (void)arg;
    (void)progress;
    return 0;
}

/* A job that was about to end may end as done. */
static enum trit_status await_end(struct trit_client *client, struct wanted *wanted,
                                  struct trit_error *error)
{
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_job_progress progress = TRIT_JOB_PROGRESS_INIT;
    struct trit_job job = TRIT_JOB_INIT;
    struct trit_error how = TRIT_ERROR_INIT; /* how the job ended; the list says it too */

    progress.report = &report;
    trit_job_attach(client, wanted->name, NULL, &progress, ignore_progress, NULL, &how);
    return trit_job_list(client, NULL, &job, visit_wanted, wanted, error);
}

static bool had_ended(const struct wanted *wanted)
{
    return strcmp(wanted->state, "done") == 0 || strcmp(wanted->state, "failed") == 0;
}

static enum exit_code show_cancelled(const struct options *options,
                                     const struct wanted *wanted)
{
    const bool ended = had_ended(wanted);
    const enum exit_code code = ended ? MISMATCH : DONE;

    if (option_given(options, OPTION_JSON) && ended)
        return print_json(
            json_pack("{s:s, s:s}", "job", wanted->name, "state", wanted->state), code);
    if (option_given(options, OPTION_JSON))
        return print_json(json_pack("{s:s}", "cancelled", wanted->name), code);
    if (ended)
        return complain(code, "jobs cancel: %s had ended before: %s", wanted->name,
                        wanted->state);
    printf("cancelled %s\n", wanted->name);
    return code;
}

static enum exit_code cancel(struct trit_client *client, const struct options *options)
{
    struct wanted wanted = {.name = options->arguments[0]};
    struct trit_job job = TRIT_JOB_INIT;
    struct trit_error error = TRIT_ERROR_INIT;

    if (trit_job_cancel(client, wanted.name, NULL, &error) != TRIT_OK ||
        trit_job_list(client, NULL, &job, visit_wanted, &wanted, &error) != TRIT_OK)
        return complain_of_call(&error);
    if (strcmp(wanted.state, "running") == 0 &&
        await_end(client, &wanted, &error) != TRIT_OK)
        return complain_of_call(&error);
    return show_cancelled(options, &wanted);
}

static enum exit_code run_cancel(const struct options *options)
{
    return cli_with_client(cancel, options);
}

static const struct command cmd_jobs_cancel = {
    .name = "jobs cancel",
    .arguments = "JOB",
    .summary = "cancel a job that waits or runs",
    .details = "Exit code 1: the job had ended before; nothing was cancelled.",
    .options = JOBS_OPTIONS,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_cancel,
};

/* ---- the group ------------------------------------------------------------------------ */

static const struct command *const commands[] = {
    &cmd_jobs_list,
    &cmd_jobs_inspect,
    &cmd_jobs_plan,
    &cmd_jobs_verify,
    &cmd_jobs_project,
    &cmd_jobs_pack,
    &cmd_jobs_unpack,
    &cmd_jobs_diff,
    &cmd_jobs_attach,
    &cmd_jobs_cancel,
    NULL,
};

const struct command cmd_jobs = {
    .name = "jobs",
    .arguments = "[OPTION...]",
    .summary = "work on checkpoints that lie on the daemon's disk",
    .details = "Paths are relative to the directory that tritd --checkpoint-root names.",
    .options = JOBS_OPTIONS,
    .run = run_list,
    .commands = commands,
};
