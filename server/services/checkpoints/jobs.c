/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/jobs.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/budget.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "services/checkpoints/job_thread.h"
#include "services/checkpoints/kept_read.h"
#include "services/checkpoints/output.h"

static struct checkpoint_job *job_of(const struct list *node)
{
    return LIST_OWNER(node, struct checkpoint_job, link);
}

/* The job's thread may be changing it. */
static enum job_state state_of(struct checkpoint_job *job)
{
    enum job_state state;

    pthread_mutex_lock(&job->lock);
    state = job->state;
    pthread_mutex_unlock(&job->lock);
    return state;
}

static void show_counts(struct jobs *jobs)
{
    metric_set(jobs->context.metrics, M_JOBS_RUNNING, jobs->running);
    metric_set(jobs->context.metrics, M_JOBS_WAITING, jobs->waiting);
    metric_set(jobs->context.metrics, M_JOBS_KEPT, jobs->kept);
}

/* ---- the table ---------------------------------------------------------------------------- */

static void init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

void jobs_lock(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
}

void jobs_unlock(struct jobs *jobs)
{
    pthread_mutex_unlock(&jobs->lock);
}

int jobs_check(const struct jobs *jobs, struct failure *failure)
{
    return jobs->context.root.fd >= 0
               ? 0
               : fail(failure, TRIT_FAILED_PRECONDITION, NULL,
                      "the service Checkpoints is off; start tritd with "
                      "--checkpoint-root DIR");
}

/* The log's charge is released here: what a page still holds of the job is not in the list. */
static void forget(struct jobs *jobs, struct checkpoint_job *job)
{
    kept_remove(&jobs->folder, job);
    if (job->log_charged)
        budget_release(jobs->context.budget, job->log_charged);
    job->log_charged = 0;
    list_remove(&job->link);
    job->jobs = NULL;
    jobs->kept--;
    job_release(job);
}

/* Forgets an ended job. An interrupted one cannot go on later, so its output is removed. */
static void expire(struct jobs *jobs, struct checkpoint_job *job)
{
    if (state_of(job) == JOB_INTERRUPTED)
        job_output_discard(job);
    forget(jobs, job);
}

static uint64_t kept_bytes(const struct jobs *jobs)
{
    uint64_t bytes = 0;

    for (struct list *node = jobs->list.next; node != &jobs->list; node = node->next)
        if (job_has_ended(state_of(job_of(node))))
            bytes += job_of(node)->log_charged;
    return bytes;
}

/* Until few enough are left, and their results take a small part of the budget. The newest
 * stays in any case. */
static void forget_oldest(struct jobs *jobs)
{
    const uint64_t bytes_max = jobs->context.budget->bytes_max / JOBS_KEPT_DIVISOR;
    struct list *node = jobs->list.next, *next;
    uint64_t bytes = kept_bytes(jobs);

    for (; node != &jobs->list &&
           (jobs->kept > jobs->limits.kept_max || (jobs->kept > 1 && bytes > bytes_max));
         node = next) {
        next = node->next;
        /* Of one that has a thread, the loop does not know yet that it has ended. */
        if (job_has_ended(state_of(job_of(node))) && !job_of(node)->has_thread) {
            bytes -= job_of(node)->log_charged;
            expire(jobs, job_of(node));
        }
    }
    show_counts(jobs);
}

void jobs_forget_old(struct jobs *jobs)
{
    const int64_t oldest = clock_unix_ns() - (int64_t)jobs->limits.kept_s * 1000000000;
    const size_t kept = jobs->kept;
    struct list *next;

    for (struct list *node = jobs->list.next; node != &jobs->list; node = next) {
        next = node->next;
        if (job_has_ended(state_of(job_of(node))) && !job_of(node)->has_thread &&
            job_of(node)->ended_ns < oldest)
            expire(jobs, job_of(node));
    }
    if (jobs->kept != kept)
        atomic_fetch_add(&jobs->version, 1);
    show_counts(jobs);
}

/* Starts the job's thread. Its memory is reserved here and released in `ended`. */
static int start_thread(struct jobs *jobs, struct checkpoint_job *job,
                        struct failure *failure)
{
    sigset_t all, before;

    if (!budget_reserve(jobs->context.budget, JOB_BYTES)) {
        metric_limit(jobs->context.metrics, L_MEMORY);
        failure->retry_ms = MEMORY_RETRY_MS;
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "the memory budget has no room for a job, which takes %d bytes; "
                    "try again later",
                    JOB_BYTES);
    }
    sigfillset(&all); /* only the loop's thread handles signals */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    job->has_thread = pthread_create(&job->thread, NULL, job_thread, job) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (job->has_thread)
        return 0;
    budget_release(jobs->context.budget, JOB_BYTES);
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no thread can be started");
}

/* The job runs or could not be started, which ends it. */
static void start(struct jobs *jobs, struct checkpoint_job *job)
{
    struct job_end failed = {.state = JOB_FAILED};

    pthread_mutex_lock(&job->lock);
    state_move(&job_states, &job->state, JOB_RUNNING);
    job->started_ns = clock_unix_ns();
    job->starts++;
    pthread_mutex_unlock(&job->lock);
    jobs->waiting--;
    jobs->running++;
    if (start_thread(jobs, job, &failed.failure) == 0) {
        pthread_setname_np(job->thread, "tritd-job");
        return;
    }
    if (job->earlier)
        job_output_discard(job);
    job_end(job, &failed, true, false);
    jobs->running--;
    jobs->kept++;
}

/* A job waits while others take its place or its memory. The end of a running job starts the
 * next one. So if none runs, the job starts now, and is refused without memory. */
static bool may_start(const struct jobs *jobs)
{
    return jobs->running < jobs->limits.running_max &&
           (jobs->running == 0 || budget_free(jobs->context.budget) >= JOB_BYTES);
}

/* Starts those that waited longest. */
static void start_waiting(struct jobs *jobs)
{
    for (struct list *node = jobs->list.next; node != &jobs->list && may_start(jobs);
         node = node->next)
        if (state_of(job_of(node)) == JOB_WAITING)
            start(jobs, job_of(node));
    show_counts(jobs);
}

/* The loop has learned that the job's thread is done with it. */
static void ended(struct jobs *jobs, struct checkpoint_job *job)
{
    pthread_join(job->thread, NULL);
    job->has_thread = false;
    budget_release(jobs->context.budget, JOB_BYTES);
    job_settle(job);
    jobs->running--;
    jobs->kept++;
    start_waiting(jobs);
}

static void take_news(struct jobs *jobs, struct checkpoint_job *job)
{
    jobs_lock(jobs);
    if (job->jobs) { /* no other loop has forgotten it meanwhile */
        if (job->has_thread && job_has_ended(state_of(job)))
            ended(jobs, job);
        jobs->news(job);
        forget_oldest(jobs);
        atomic_fetch_add(&jobs->version, 1);
    }
    jobs_unlock(jobs);
}

static void deliver_news(struct mailbox_message *message)
{
    struct checkpoint_job *job = LIST_OWNER(message, struct checkpoint_job, news);
    struct jobs *jobs = job->jobs;

    atomic_store(&job->news_posted, false);
    if (jobs)
        take_news(jobs, job);
    job_release(job);
}

static bool is_interrupted_at(struct checkpoint_job *job, const char *output)
{
    return state_of(job) == JOB_INTERRUPTED && job_writes_output(job) &&
           strcmp(job->asked.output, output) == 0;
}

/* The job takes the place of an interrupted one with the same output, and what that one left
 * unfinished: if the job does not go on with it, it is removed. */
static void forget_interrupted(struct jobs *jobs, struct checkpoint_job *job)
{
    struct list *next;

    if (!job_writes_output(job))
        return;
    for (struct list *node = jobs->list.next; node != &jobs->list; node = next) {
        next = node->next;
        if (is_interrupted_at(job_of(node), job->asked.output)) {
            forget(jobs, job_of(node));
            job->earlier = true;
        }
    }
}

int jobs_add(struct jobs *jobs, struct checkpoint_job *job, struct failure *failure)
{
    if (jobs->running >= jobs->limits.running_max &&
        jobs->waiting >= jobs->limits.waiting_max) {
        metric_limit(jobs->context.metrics, L_JOBS_WAITING);
        failure->retry_ms = QUEUE_RETRY_MS;
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "%u jobs run and %u wait, which is the most (jobs-max, "
                    "jobs-waiting-max); try again later",
                    (unsigned)jobs->running, (unsigned)jobs->waiting);
    }
    job_hold(job);
    job_keep(job, NULL, false);
    job->jobs = jobs;
    job->news.deliver = deliver_news;
    jobs_forget_old(jobs);
    forget_interrupted(jobs, job);
    list_push(&jobs->list, &job->link);
    jobs->waiting++;
    start_waiting(jobs);
    atomic_fetch_add(&jobs->version, 1);
    return 0;
}

struct checkpoint_job *jobs_find(const struct jobs *jobs, const char *id)
{
    for (const struct list *node = jobs->list.next; node != &jobs->list;
         node = node->next)
        if (strcmp(job_of(node)->id, id) == 0)
            return job_of(node);
    return NULL;
}

void jobs_cancel(struct jobs *jobs, struct checkpoint_job *job)
{
    const enum job_state state = state_of(job);
    struct job_end how = {.state = JOB_CANCELLED};

    atomic_store(&job->cancelled, true);
    /* One that waits while the daemon stops is interrupted for the next daemon. */
    if ((state != JOB_WAITING || atomic_load(&job->interrupted)) &&
        state != JOB_INTERRUPTED)
        return;
    fail(&how.failure, TRIT_CANCELLED, NULL, "the job was cancelled before it %s",
         state == JOB_WAITING ? "began" : "went on");
    if (state == JOB_INTERRUPTED || job->earlier)
        job_output_discard(job);
    job_end(job, &how, true, false);
    if (state == JOB_WAITING) {
        jobs->waiting--;
        jobs->kept++;
    }
    show_counts(jobs);
    job_hold(job);
    jobs->news(job);
    forget_oldest(jobs);
    atomic_fetch_add(&jobs->version, 1);
    job_release(job);
}

/* ---- jobs of an earlier daemon ---------------------------------------------------------- */

/* Detached jobs go on by themselves; the client of another one has to ask again. */
static void take_kept(void *arg, struct checkpoint_job *job)
{
    struct jobs *jobs = arg;
    struct list *after = jobs->list.prev;

    if (!job_has_ended(job->state) && !job_output_was_named(job)) {
        if (job->asked.detach && job->starts < JOB_STARTS_MAX)
            job->state = JOB_WAITING;
        else
            job_interrupt(job);
    }
    if (job->state == JOB_WAITING)
        jobs->waiting++;
    else
        jobs->kept++;
    job->jobs = jobs;
    job->earlier = true;
    job->news.deliver = deliver_news;
    /* The oldest first. */
    while (after != &jobs->list && job_of(after)->created_ns > job->created_ns)
        after = after->prev;
    list_push(after->next, &job->link);
}

static void tell_damage(void *arg, const char *message)
{
    const struct jobs *jobs = arg;

    log_event(jobs->context.log, LOG_ERROR, "job_damaged",
              LOG_FIELDS(LOG_STR("why", message)));
}

/* ---- the life of the table ---------------------------------------------------------------- */

static int open_folders(struct jobs *jobs, const struct jobs_config *config,
                        struct failure *failure)
{
    const struct kept_visitor visitor = {
        .context = &jobs->context, .arg = jobs, .job = take_kept, .damaged = tell_damage};

    if (root_open(&jobs->context.root, config->directory, failure) < 0)
        return -1;
    return config->directory && (kept_open(&jobs->folder, config->data, failure) < 0 ||
                                 kept_read(&jobs->folder, &visitor, failure) < 0)
               ? -1
               : 0;
}

int jobs_create(struct jobs **out, const struct jobs_config *config,
                struct failure *failure)
{
    struct jobs *jobs = calloc(1, sizeof(*jobs));

    if (!jobs)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory to start");
    init_lock(&jobs->lock);
    list_init(&jobs->list);
    jobs->limits = config->limits;
    jobs->news = config->news;
    jobs->context.mailbox = config->mailbox;
    jobs->context.budget = config->budget;
    jobs->context.metrics = config->metrics;
    jobs->context.log = config->log;
    jobs->context.flush_ns = (uint64_t)config->limits.flush_ms * 1000000;
    jobs->context.root.fd = jobs->folder.fd = -1;
    jobs->context.kept = &jobs->folder;
    kernel_engine_init(&jobs->context.engine, config->kernels, config->pool,
                       config->metrics, config->version);
    if (open_folders(jobs, config, failure) < 0) {
        jobs_destroy(jobs);
        return -1;
    }
    if (jobs->kept)
        forget_oldest(jobs);
    jobs_forget_old(jobs);
    start_waiting(jobs);
    *out = jobs;
    return 0;
}

void jobs_stop(struct jobs *jobs)
{
    uint64_t running = 0;

    if (!jobs)
        return;
    for (struct list *node = jobs->list.next; node != &jobs->list; node = node->next) {
        if (!atomic_load(&job_of(node)->cancelled))
            atomic_store(&job_of(node)->interrupted, true);
        atomic_store(&job_of(node)->cancelled, true);
        running += job_of(node)->has_thread && !job_has_ended(state_of(job_of(node)));
    }
    if (running)
        log_event(jobs->context.log, LOG_INFO, "jobs_interrupted",
                  LOG_FIELDS(LOG_U64("running", running)));
    for (struct list *node = jobs->list.next; node != &jobs->list; node = node->next)
        if (job_of(node)->has_thread) {
            pthread_join(job_of(node)->thread, NULL);
            job_of(node)->has_thread = false;
            budget_release(jobs->context.budget, JOB_BYTES);
        }
}

void jobs_destroy(struct jobs *jobs)
{
    struct list *node;

    if (!jobs)
        return;
    while ((node = list_pop(&jobs->list))) {
        job_of(node)->jobs = NULL;
        job_release(job_of(node));
    }
    root_close(&jobs->context.root);
    pthread_mutex_destroy(&jobs->lock);
    kept_close(&jobs->folder);
    free(jobs);
}
