/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/job.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/array.h"
#include "base/budget.h"
#include "base/clock.h"
#include "drive/input.h"
#include "obs/metrics.h"
#include "proto/finding.h"
#include "services/checkpoints/context.h"

enum {
    MESSAGE_OVERHEAD = 64, /* of a message in the log: its row and its allocation */
    LAYERS_COPIES = 3,     /* the array that doubles, and the result that has all of it */
};

static const struct state_row rows[JOB_STATES] = {
    [JOB_WAITING] = {"waiting", STATE_TO(JOB_RUNNING) | STATE_TO(JOB_CANCELLED)},
    [JOB_RUNNING] = {"running",
                     STATE_TO(JOB_DONE) | STATE_TO(JOB_FAILED) | STATE_TO(JOB_CANCELLED)},
    [JOB_DONE] = {"done", 0},
    [JOB_FAILED] = {"failed", 0},
    [JOB_CANCELLED] = {"cancelled", 0},
    [JOB_INTERRUPTED] = {"interrupted", STATE_TO(JOB_CANCELLED)},
};
const struct states job_states = STATES("job", rows);

const char *job_state_name(enum job_state state)
{
    return rows[state].name;
}

bool job_has_ended(enum job_state state)
{
    return state != JOB_WAITING && state != JOB_RUNNING;
}

bool job_waits(struct checkpoint_job *job)
{
    bool waits;

    pthread_mutex_lock(&job->lock);
    waits = job->state == JOB_WAITING;
    pthread_mutex_unlock(&job->lock);
    return waits;
}

/* ---- progress -------------------------------------------------------------------------- */

void job_tell(struct checkpoint_job *job)
{
    if (atomic_exchange(&job->news_posted, true))
        return;
    job_hold(job);
    mailbox_post(job->context->mailbox, &job->news);
}

static void progress_changed(struct progress *progress, bool due)
{
    struct checkpoint_job *job = LIST_OWNER(progress, struct checkpoint_job, progress);
    const uint64_t now = clock_monotonic_ns(), reused = progress->reused_bytes;
    const uint64_t read = progress->done > reused ? progress->done - reused : 0;

    if (read > job->read_bytes) {
        metric_add(job->context->metrics, M_JOBS_READ_BYTES, read - job->read_bytes);
        job->read_bytes = read;
    }
    if (!due && now - job->told_ns < (uint64_t)JOB_NEWS_MS * 1000000)
        return;
    job->told_ns = now;
    job_tell(job);
}

static int check_cancelled(struct progress *progress, struct failure *failure)
{
    struct checkpoint_job *job = LIST_OWNER(progress, struct checkpoint_job, progress);

    return atomic_load(&job->cancelled)
               ? fail(failure, TRIT_CANCELLED, NULL, "the job was cancelled")
               : 0;
}

static const struct progress_ops job_progress = {.changed = progress_changed,
                                                 .check = check_cancelled};

/* ---- life ------------------------------------------------------------------------------ */

struct checkpoint_job *job_create(const struct job_kind *kind,
                                  const struct job_context *context)
{
    struct checkpoint_job *job = calloc(1, sizeof(*job));
    uint64_t random;

    if (!job || getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        free(job);
        return NULL;
    }
    snprintf(job->id, sizeof(job->id), "%016" PRIx64, random);
    job->references = 1;
    job->kind = kind;
    job->context = context;
    job->budget = context->budget;
    job->created_ns = clock_unix_ns();
    list_init(&job->link);
    list_init(&job->streams);
    progress_init(&job->progress, &job_progress, 0);
    pthread_mutex_init(&job->lock, NULL);
    return job;
}

void job_hold(struct checkpoint_job *job)
{
    atomic_fetch_add(&job->references, 1);
}

void job_release(struct checkpoint_job *job)
{
    if (!job || atomic_fetch_sub(&job->references, 1) > 1)
        return;
    for (size_t i = 0; i < job->log_count; i++)
        free(job->log[i].data);
    free(job->log);
    job_settle(job);
    if (job->log_charged)
        budget_release(job->budget, job->log_charged);
    progress_fini(&job->progress);
    pthread_mutex_destroy(&job->lock);
    free(job);
}

/* ---- its share of the budget --------------------------------------------------------------- */

static int charge(struct checkpoint_job *job, uint64_t *charged, uint64_t bytes,
                  struct failure *failure)
{
    if (!budget_reserve(job->budget, bytes)) {
        metric_limit(job->context->metrics, L_MEMORY);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "the memory budget has no room for %" PRIu64
                    " bytes that the job needs; try again later",
                    bytes);
    }
    *charged += bytes;
    return 0;
}

int job_charge(struct checkpoint_job *job, uint64_t bytes, struct failure *failure)
{
    return charge(job, &job->work_charged, bytes, failure);
}

void job_settle(struct checkpoint_job *job)
{
    free(job->layers);
    job->layers = NULL;
    job->layers_bytes = job->layers_capacity = 0;
    if (job->work_charged)
        budget_release(job->budget, job->work_charged);
    job->work_charged = 0;
}

/* ---- the log ----------------------------------------------------------------------------- */

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for the job's result");
}

static void uncharge_log(struct checkpoint_job *job, uint64_t bytes)
{
    budget_release(job->budget, bytes);
    job->log_charged -= bytes;
}

int job_log(struct checkpoint_job *job, const uint8_t *bytes, size_t count,
            struct failure *failure)
{
    struct job_message *grown = NULL;
    uint8_t *copy;
    bool fits;

    if (charge(job, &job->log_charged, count + MESSAGE_OVERHEAD, failure) < 0)
        return -1;
    copy = malloc(count + 1);
    if (!copy) {
        uncharge_log(job, count + MESSAGE_OVERHEAD);
        return no_memory(failure);
    }
    memcpy(copy, bytes, count);
    pthread_mutex_lock(&job->lock);
    fits = job->log_bytes + count <= JOB_LOG_BYTES_MAX;
    if (fits)
        grown =
            array_grow(job->log, &job->log_capacity, job->log_count + 1, sizeof(*grown));
    if (grown) {
        job->log = grown;
        job->log[job->log_count++] = (struct job_message){count, copy};
        job->log_bytes += count;
        if (!job->prepared)
            job->log_shown = job->log_count;
    }
    pthread_mutex_unlock(&job->lock);
    if (grown)
        return 0;
    free(copy);
    uncharge_log(job, count + MESSAGE_OVERHEAD);
    if (!fits)
        metric_limit(job->context->metrics, L_JOB_BYTES);
    return fits ? no_memory(failure)
                : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                       "the job's reports and result take more than %d bytes",
                       JOB_LOG_BYTES_MAX);
}

static struct wire_progress progress_of(struct checkpoint_job *job)
{
    struct wire_progress shown = {.job = job->id};
    double seconds;

    pthread_mutex_lock(&job->progress.lock);
    shown.bytes_done = job->progress.done;
    shown.bytes_total = job->progress.total;
    shown.tensors_done = job->progress.pieces;
    shown.tensors_reused = job->progress.reused;
    pthread_mutex_unlock(&job->progress.lock);
    pthread_mutex_lock(&job->lock);
    shown.tensors_total = job->tensors_total;
    shown.state = job_state_name(job->state);
    if (job->state == JOB_RUNNING && job->begun_ns) {
        seconds = (double)(clock_monotonic_ns() - job->begun_ns) / 1e9;
        shown.bytes_per_second = seconds > 0 ? (double)shown.bytes_done / seconds : 0;
    }
    pthread_mutex_unlock(&job->lock);
    if (shown.bytes_per_second > 0 && shown.bytes_total > shown.bytes_done)
        shown.seconds_left =
            (double)(shown.bytes_total - shown.bytes_done) / shown.bytes_per_second;
    return shown;
}

static int log_progress(struct checkpoint_job *job, const struct wire_progress *progress,
                        struct failure *failure)
{
    uint8_t *bytes = malloc(PROGRESS_BYTES_MAX);
    int result;

    if (!bytes)
        return no_memory(failure);
    result = job_log(job, bytes, encode_progress(progress, bytes, PROGRESS_BYTES_MAX),
                     failure);
    free(bytes);
    return result;
}

/* ---- what a run tells --------------------------------------------------------------------- */

void job_expect(struct checkpoint_job *job, uint64_t bytes, uint64_t tensors)
{
    pthread_mutex_lock(&job->progress.lock);
    job->progress.total = bytes;
    pthread_mutex_unlock(&job->progress.lock);
    pthread_mutex_lock(&job->lock);
    job->begun_ns = clock_monotonic_ns();
    job->tensors_total = tensors;
    pthread_mutex_unlock(&job->lock);
    job_tell(job);
}

/* Adds text to the reports in JSON. */
static int layers_add(struct checkpoint_job *job, const char *text,
                      struct failure *failure)
{
    const size_t bytes = strlen(text);
    char *grown;

    if (job_charge(job, LAYERS_COPIES * (bytes + 1), failure) < 0)
        return -1;
    grown = array_grow(job->layers, &job->layers_capacity, job->layers_bytes + bytes + 2,
                       sizeof(*grown));

    if (!grown)
        return no_memory(failure);
    job->layers = grown;
    if (job->layers_bytes > 0)
        job->layers[job->layers_bytes++] = ',';
    memcpy(job->layers + job->layers_bytes, text, bytes + 1);
    job->layers_bytes += bytes;
    return 0;
}

static int keep_json(struct checkpoint_job *job, const struct trit_report *report,
                     struct failure *failure)
{
    json_t *json = layer_report_json(report);
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    const int result = text ? layers_add(job, text, failure) : no_memory(failure);

    free(text);
    json_decref(json);
    return result;
}

int job_layer(void *arg, const char *name, const struct tensor_entry *dense,
              struct trit_report *report, struct failure *failure)
{
    struct checkpoint_job *job = arg;
    struct wire_progress shown;

    (void)dense;
    if (job->asked.report == TRIT_REPORT_NONE)
        return 0;
    shown = progress_of(job);
    shown.layer = name;
    shown.report = report;
    if (keep_json(job, report, failure) < 0)
        return -1;
    if (log_progress(job, &shown, failure) < 0)
        return -1;
    job_tell(job);
    return 0;
}

/* ---- the result ------------------------------------------------------------------------- */

/* The text of the result, malloc'ed. The reports replace the end of an empty array. */
static char *result_text(const struct checkpoint_job *job, const json_t *result,
                         bool has_layers)
{
    static const char end[] = "[]}";
    char *text = json_dumps(result, JSON_COMPACT | JSON_ENSURE_ASCII), *whole;
    size_t bytes;

    if (!text || !has_layers || job->layers_bytes == 0)
        return text;
    bytes = strlen(text) - (sizeof(end) - 1);
    whole = malloc(bytes + job->layers_bytes + sizeof(end));
    if (whole) {
        memcpy(whole, text, bytes);
        whole[bytes] = '[';
        memcpy(whole + bytes + 1, job->layers, job->layers_bytes);
        memcpy(whole + bytes + 1 + job->layers_bytes, "]}", sizeof("]}"));
    }
    free(text);
    return whole;
}

/* One message for each part of the text, which is ASCII; the last one has the verdict. */
static int log_result(struct checkpoint_job *job, enum trit_verdict verdict,
                      const char *text, struct failure *failure)
{
    struct wire_progress shown = progress_of(job);
    char *part = malloc(PROGRESS_RESULT_BYTES_MAX + 1);
    int result = part ? 0 : no_memory(failure);
    size_t at = 0;

    shown.state = job_state_name(JOB_DONE);
    shown.bytes_per_second = shown.seconds_left = 0;
    do {
        const size_t count = strnlen(text + at, PROGRESS_RESULT_BYTES_MAX);

        if (result < 0)
            break;
        memcpy(part, text + at, count);
        part[count] = '\0';
        at += count;
        shown.result = part;
        shown.verdict = text[at] ? NULL : verdict_name(verdict);
        result = log_progress(job, &shown, failure);
    } while (result == 0 && text[at]);
    free(part);
    return result;
}

int job_prepare(struct checkpoint_job *job, enum trit_verdict verdict, json_t *result,
                bool has_layers, struct failure *failure)
{
    char *text = result ? result_text(job, result, has_layers) : NULL;
    int ended = text ? 0 : no_memory(failure);

    json_decref(result);
    /* All of the input was dealt with, also where pieces were skipped. */
    pthread_mutex_lock(&job->progress.lock);
    job->progress.done = job->progress.total;
    job->progress.pieces = job->tensors_total;
    pthread_mutex_unlock(&job->progress.lock);
    pthread_mutex_lock(&job->lock);
    job->verdict = verdict;
    job->prepared = true;
    pthread_mutex_unlock(&job->lock);
    if (ended == 0)
        ended = log_result(job, verdict, text, failure);
    free(text);
    if (ended < 0)
        job_drop_result(job);
    return ended;
}

void job_show_result(struct checkpoint_job *job)
{
    pthread_mutex_lock(&job->lock);
    job->prepared = false;
    job->has_result = true;
    job->log_shown = job->log_count;
    pthread_mutex_unlock(&job->lock);
}

void job_drop_result(struct checkpoint_job *job)
{
    uint64_t charged = 0;

    pthread_mutex_lock(&job->lock);
    job->prepared = false;
    while (job->log_count > job->log_shown) {
        const struct job_message *last = &job->log[--job->log_count];

        job->log_bytes -= last->bytes;
        charged += last->bytes + MESSAGE_OVERHEAD;
        free(last->data);
    }
    pthread_mutex_unlock(&job->lock);
    uncharge_log(job, charged);
}

int job_finish(struct checkpoint_job *job, enum trit_verdict verdict, json_t *result,
               bool has_layers, struct failure *failure)
{
    if (job_prepare(job, verdict, result, has_layers, failure) < 0)
        return -1;
    job_show_result(job);
    return 0;
}

/* ---- what calls see ---------------------------------------------------------------------- */

void job_snapshot(struct checkpoint_job *job, struct job_snapshot *snapshot)
{
    snapshot->progress = progress_of(job);
    pthread_mutex_lock(&job->progress.lock);
    memcpy(snapshot->label, job->progress.label, sizeof(snapshot->label));
    pthread_mutex_unlock(&job->progress.lock);
    pthread_mutex_lock(&job->lock);
    snapshot->state = job->state;
    snapshot->failure = job->failure;
    snapshot->log_count = job->log_shown;
    snapshot->has_result = job->has_result;
    snapshot->started_ns = job->started_ns;
    snapshot->ended_ns = job->ended_ns;
    if (job->state == JOB_DONE)
        snapshot->progress.verdict = verdict_name(job->verdict);
    pthread_mutex_unlock(&job->lock);
    snapshot->progress.layer = snapshot->label;
}

struct job_message job_message(struct checkpoint_job *job, size_t index)
{
    struct job_message message;

    pthread_mutex_lock(&job->lock);
    message = job->log[index];
    pthread_mutex_unlock(&job->lock);
    return message;
}
