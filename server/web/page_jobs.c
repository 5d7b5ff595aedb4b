/* SPDX-License-Identifier: Apache-2.0 */
/* The pages of jobs over checkpoints: all of them, and one. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "web/handlers.h"
#include "web/html.h"
#include "web/job_rows.h"

enum { JOBS_PAGE = 50 }; /* on a page */

#define DASH "\xe2\x80\x93"
#define NARROW_SPACE "\xe2\x80\xaf"

/* ---- parts ----------------------------------------------------------------------------- */

static void put_bytes(struct text *text, double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    size_t unit = 0;

    while (bytes >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1000;
        unit++;
    }
    text_format(text, "%.3g" NARROW_SPACE "%s", bytes, units[unit]);
}

static const char *style_of(const struct wire_job *job)
{
    if (strcmp(job->verdict, "pass") == 0)
        return "good\">\xe2\x9c\x93";
    if (strcmp(job->verdict, "inconclusive") == 0 ||
        strcmp(job->state, "interrupted") == 0)
        return "warn\">?";
    if (strcmp(job->state, "interrupted") == 0)
        return "warn\">!";
    if (strcmp(job->verdict, "fail") == 0 || strcmp(job->state, "failed") == 0)
        return "bad\">\xe2\x9c\x97";
    return strcmp(job->state, "running") == 0 ? "none\">\xe2\x80\xa6" : "none\">" DASH;
}

/* The verdict of a job that is done, else its state. */
static void put_state(struct text *text, const struct wire_job *job)
{
    text_format(text, "<span class=\"badge %s <span>", style_of(job));
    text_html(text, job->verdict[0] ? job->verdict : job->state);
    text_put(text, "</span></span>");
}

static void put_done(struct text *text, const struct wire_job *job)
{
    const double share =
        job->bytes_total ? (double)job->bytes_done / (double)job->bytes_total : 0;

    if (job->bytes_total == 0) {
        text_put(text, DASH);
        return;
    }
    text_format(text,
                "<svg class=\"bar\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" "
                "aria-hidden=\"true\"><rect class=\"healthy\" width=\"%.2f\" "
                "height=\"8\"/></svg> ",
                fmin(share, 1) * 100);
    html_percent(text, fmin(share, 1));
}

static void put_rate(struct text *text, const struct wire_progress *progress)
{
    if (progress->bytes_per_second > 0) {
        put_bytes(text, progress->bytes_per_second);
        text_put(text, "/s");
    } else {
        text_put(text, DASH);
    }
}

static void put_left(struct text *text, const struct wire_progress *progress)
{
    html_duration(text,
                  progress->seconds_left > 0 ? progress->seconds_left : (double)NAN);
}

static void put_link(struct text *text, const struct wire_job *job)
{
    text_put(text, "<a href=\"/jobs/");
    text_segment(text, job->job);
    text_put(text, "\">");
    text_html(text, job->job);
    text_put(text, "</a>");
}

/* The input, and what it is compared with or becomes. */
static void put_paths(struct text *text, const struct wire_job *job)
{
    text_html(text, job->path);
    if (job->against[0]) {
        text_put(text, " <span class=\"soft\">against</span> ");
        text_html(text, job->against);
    }
    if (job->output[0]) {
        text_put(text, " \xe2\x86\x92 ");
        text_html(text, job->output);
    }
}

/* ---- all jobs -------------------------------------------------------------------------- */

static void put_row(struct text *text, const struct job_row *row)
{
    const struct wire_job *job = &row->job;

    text_put(text, "<tr><th scope=\"row\">");
    put_link(text, job);
    text_put(text, "</th><td>");
    text_html(text, job->method);
    text_put(text, "</td><td class=\"name\">");
    put_paths(text, job);
    text_put(text, "</td><td>");
    put_state(text, job);
    text_put(text, "</td><td>");
    put_done(text, job);
    text_put(text, "</td><td class=\"num\">");
    put_rate(text, &row->progress);
    text_put(text, "</td><td class=\"num\">");
    put_left(text, &row->progress);
    text_put(text, "</td><td class=\"num\">");
    html_age(text, (int64_t)job->created_unix_ns);
    text_put(text, "</td></tr>\n");
}

static void put_table(struct text *text, const struct job_rows *rows, uint64_t page)
{
    static const struct html_head heads[] = {
        {"Job", ""},     {"What", ""},        {"Checkpoint", ""},
        {"State", ""},   {"Done", ""},        {"Rate", "num"},
        {"Left", "num"}, {"Accepted", "num"}, {NULL, NULL},
    };

    html_table_begin(text, "Jobs, the newest first", "jobs");
    html_heads(text, heads);
    for (size_t i = 0; i < rows->count; i++)
        put_row(text, &rows->rows[i]);
    html_table_end(text);
    html_pages(text, "?page=", page, rows->more);
}

int serve_jobs_page(const struct web_config *web, const struct request *request,
                    struct reply *reply, struct failure *failure)
{
    const uint64_t page =
        request->page < SIZE_MAX / JOBS_PAGE ? request->page : SIZE_MAX / JOBS_PAGE;
    const struct job_query query = {
        .limit = JOBS_PAGE, .skip = (size_t)page * JOBS_PAGE, .after = ""};
    struct job_rows rows;

    if (job_rows_read(&rows, web, &query, failure) < 0)
        return -1;
    html_begin(reply, web, "Jobs");
    text_put(&reply->body, "<h1>Jobs over checkpoints</h1>\n");
    if (rows.count == 0 && page == 0)
        text_put(&reply->body,
                 "<p>Nothing here yet. Jobs work on files below the daemon's "
                 "--checkpoint-root:<br><code>trit jobs verify PATH</code></p>\n");
    else
        put_table(&reply->body, &rows, page);
    html_end(reply);
    job_rows_fini(&rows);
    return 0;
}

/* ---- one job --------------------------------------------------------------------------- */

static void begin_fact(struct text *text, const char *term)
{
    text_format(text, "<div><dt>%s</dt><dd>", term);
}

static void end_fact(struct text *text)
{
    text_put(text, "</dd></div>\n");
}

static void put_text_fact(struct text *text, const char *term, const char *words)
{
    if (!words[0])
        return;
    begin_fact(text, term);
    text_html(text, words);
    end_fact(text);
}

static void put_time_fact(struct text *text, const char *term, uint64_t unix_ns)
{
    if (unix_ns == 0)
        return;
    begin_fact(text, term);
    html_time(text, (int64_t)unix_ns);
    end_fact(text);
}

static void put_tiles(struct text *text, const struct job_row *row)
{
    const struct wire_job *job = &row->job;

    text_put(text, "<dl class=\"tiles\">\n");
    begin_fact(text, "State");
    put_state(text, job);
    end_fact(text);
    begin_fact(text, "Done");
    put_done(text, job);
    end_fact(text);
    begin_fact(text, "Tensors");
    html_count(text, job->tensors_done);
    text_put(text, " of ");
    html_count(text, job->tensors_total);
    end_fact(text);
    begin_fact(text, "Rate");
    put_rate(text, &row->progress);
    end_fact(text);
    begin_fact(text, "Left");
    put_left(text, &row->progress);
    end_fact(text);
    text_put(text, "</dl>\n");
}

static void put_facts(struct text *text, const struct job_row *row)
{
    const struct wire_job *job = &row->job;

    text_put(text, "<dl>\n");
    put_text_fact(text, "Input", job->path);
    put_text_fact(text, "Against", job->against);
    put_text_fact(text, "Output", job->output);
    put_text_fact(text, "Tensor",
                  strcmp(job->state, "running") == 0 ? row->progress.layer : "");
    begin_fact(text, "Tensors done before a restart");
    html_count(text, job->tensors_reused);
    end_fact(text);
    begin_fact(text, "Bytes");
    html_count(text, job->bytes_done);
    text_put(text, " of ");
    html_count(text, job->bytes_total);
    end_fact(text);
    put_time_fact(text, "Accepted", job->created_unix_ns);
    put_time_fact(text, "Started", job->started_unix_ns);
    put_time_fact(text, "Ended", job->ended_unix_ns);
    begin_fact(text, "When its client goes");
    text_put(text, job->detach ? "it goes on" : "it is cancelled");
    end_fact(text);
    text_put(text, "</dl>\n");
}

int serve_job_page(const struct web_config *web, const struct request *request,
                   struct reply *reply, struct failure *failure)
{
    struct text *text = &reply->body;
    struct job_rows rows;

    if (job_rows_find(&rows, web, request->names[0], failure) < 0)
        return -1;
    const struct job_row *row = &rows.rows[0];
    html_begin(reply, web, row->job.job);
    text_put(text, "<p class=\"crumbs\"><a href=\"/jobs\">Jobs</a></p><h1>");
    text_html(text, row->job.method);
    text_put(text, " ");
    text_html(text, row->job.path);
    text_put(text, "</h1>\n");
    if (row->job.message[0]) {
        text_put(text, "<p class=\"note\">");
        text_html(text, status_name((enum trit_status)row->job.status));
        text_put(text, ": ");
        text_html(text, row->job.message);
        text_put(text, "</p>\n");
    }
    put_tiles(text, row);
    put_facts(text, row);
    text_put(text, "<p>The reports of its layers:<br><code>trit jobs attach ");
    text_html(text, row->job.job);
    text_put(text, "</code></p>\n");
    html_end(reply);
    job_rows_fini(&rows);
    return 0;
}
