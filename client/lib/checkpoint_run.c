/* SPDX-License-Identifier: Apache-2.0 */
/* Does a plan: drive/project.h or drive/pack.h on a thread of its own, while the caller's
 * thread calls back.
 *
 *   run's thread   lanes ... layer() -> note, show, wait for the caller's thread
 *   caller's       wait -> visit(report) | progress -> ... -> join */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/lib/call_engine.h"
#include "client/lib/client.h"
#include "client/lib/file.h"
#include "client/lib/plan.h"
#include "drive/pack.h"
#include "drive/project.h"

enum { PROGRESS_MS = 100 };

struct run {
    struct progress progress;
    struct trit_plan *plan;
    struct reader *reader;
    struct writer *writer;
    struct trit_run_options options;
    struct trit_call_options call;
    struct call_engine engine;
    struct plan_cursor cursor; /* of the piece after the last that had a report */
    atomic_bool stopped;       /* by the caller */
    pthread_mutex_t lock;      /* guards the rest */
    pthread_cond_t changed;
    const char *name; /* of the report that is shown */
    const struct trit_report *shown;
    bool ended;
    int result;
    struct failure failure;
};

/* ---- on the run's threads ---------------------------------------------------------- */

static int check(struct progress *progress, struct failure *failure)
{
    const struct run *run = (const struct run *)progress;

    return atomic_load(&run->stopped)
               ? fail(failure, TRIT_CANCELLED, NULL, "the call was cancelled")
               : 0;
}

static const struct progress_ops ops = {.check = check};

/* The message without the name of the request's bytes, which the caller did not send. */
static int call_ended(enum trit_status status, const struct trit_error *error,
                      struct failure *failure)
{
    const size_t bytes = strlen(error->field);
    const char *text = error->message;

    if (status == TRIT_OK)
        return 0;
    if (bytes >= 4 && strcmp(error->field + bytes - 4, "data") == 0 &&
        strncmp(text, error->field, bytes) == 0 && strncmp(text + bytes, ": ", 2) == 0)
        text += bytes + 2;
    return fail(failure, status, error->field, "%s", text);
}

/* Reports come in the order of the input. */
static size_t index_of(struct run *run, const char *name)
{
    struct plan_piece piece;

    while (plan_cursor_next(&run->plan->plan, &run->cursor, &piece))
        if (piece.is_layer && strcmp(piece.name, name) == 0)
            return piece.index;
    return CONTENT_NONE;
}

static int show(struct run *run, const char *name, const struct trit_report *report,
                struct failure *failure)
{
    pthread_mutex_lock(&run->lock);
    run->name = name;
    run->shown = report;
    pthread_cond_broadcast(&run->changed);
    while (run->shown)
        pthread_cond_wait(&run->changed, &run->lock);
    pthread_mutex_unlock(&run->lock);
    return check(&run->progress, failure);
}

static int take_layer(void *owner, const char *name, const struct tensor_entry *dense,
                      struct trit_report *report, struct failure *failure)
{
    struct run *run = owner;
    const size_t index = index_of(run, name);

    (void)dense;
    if (index == CONTENT_NONE)
        return fail(failure, TRIT_INTERNAL, NULL, "%s is not in the plan", name);
    if (plan_note_report(run->plan, index, report, run->options.allow_lost_scales,
                         failure) < 0)
        return -1;
    return run->options.visit ? show(run, name, report, failure) : 0;
}

/* Input, writer and plan stay those of the caller. */
static int do_project(struct run *run)
{
    struct projecting p;
    int result;

    project_init(&p);
    p.engine = &run->engine.engine;
    p.progress = &run->progress;
    p.terms = run->plan->plan.terms;
    p.allow_lost = true; /* the caller looks at the findings */
    p.input.reader = run->reader;
    p.writer = run->writer;
    p.layer = take_layer;
    p.owner = run;
    p.plan = run->plan->plan;
    result = project_run(&p);
    run->failure = p.failure;
    p.input.reader = NULL;
    p.writer = NULL;
    p.plan = (struct plan){.layers = 0};
    project_fini(&p);
    return result;
}

/* The contents as the file has them: a plan for llama.cpp adds orders of rows. The caller
 * frees the items. */
static int stored_contents(struct contents *stored, const struct contents *planned,
                           struct failure *failure)
{
    const size_t count = planned->table->count;

    *stored = *planned;
    stored->items = malloc((count + 1) * sizeof(*stored->items));
    if (!stored->items)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    memcpy(stored->items, planned->items, count * sizeof(*stored->items));
    for (size_t i = 0; i < count; i++)
        stored->items[i].heads = (struct head_order){.rows = 0};
    return 0;
}

static int do_pack(struct run *run)
{
    struct repacking p;
    int result;

    pack_init(&p);
    p.engine = &run->engine.engine;
    p.progress = &run->progress;
    p.allow_rounded = run->options.allow_rounded_scales;
    p.input.input.reader = run->reader;
    p.input.reciprocals = run->plan->plan.reciprocals;
    p.writer = run->writer;
    p.layer = take_layer;
    p.owner = run;
    p.plan = run->plan->plan;
    result = stored_contents(&p.input.contents, &run->plan->plan.contents, &p.failure);
    if (result == 0)
        result = pack_run(&p);
    free(p.input.contents.items);
    run->failure = p.failure;
    run->plan->rounded = p.rounded;
    run->plan->has_run = true;
    p.input = (struct side){.reciprocals = false};
    p.writer = NULL;
    p.plan = (struct plan){.layers = 0};
    pack_fini(&p);
    return result;
}

static void *run_main(void *arg)
{
    struct run *run = arg;
    const int result = run->plan->packs ? do_pack(run) : do_project(run);

    pthread_mutex_lock(&run->lock);
    run->result = result;
    run->ended = true;
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->lock);
    return NULL;
}

/* ---- on the caller's thread -------------------------------------------------------- */

static int call_visit(struct run *run)
{
    const struct trit_run_options *o = &run->options;

    if (o->report)
        sized_give(&sized_report, o->report, run->shown);
    return o->visit(o->visit_arg, run->name, o->report);
}

static int call_progress(struct run *run, bool all)
{
    uint64_t done, total;

    pthread_mutex_lock(&run->progress.lock);
    total = run->progress.total;
    done = all ? total : run->progress.done;
    pthread_mutex_unlock(&run->progress.lock);
    return run->call.progress ? run->call.progress(run->call.progress_arg, done, total)
                              : 0;
}

/* With the lock held: waits for a report, for the end, or PROGRESS_MS. */
static void wait_news(struct run *run)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += PROGRESS_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (!run->shown && !run->ended)
        if (pthread_cond_timedwait(&run->changed, &run->lock, &until) != 0)
            return;
}

static void attend(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    while (!run->ended) {
        wait_news(run);
        const bool shown = run->shown != NULL;
        pthread_mutex_unlock(&run->lock);
        if ((shown && call_visit(run) != 0) || call_progress(run, false) != 0)
            atomic_store(&run->stopped, true);
        pthread_mutex_lock(&run->lock);
        if (shown)
            run->shown = NULL;
        pthread_cond_broadcast(&run->changed);
    }
    pthread_mutex_unlock(&run->lock);
}

/* The threads of a run take no signals of the program. */
static int start(pthread_t *thread, struct run *run, struct failure *failure)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(thread, NULL, run_main, run);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error
               ? fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no thread can be started")
               : 0;
}

/* The caller may end it before it begins, and when all is done. */
static void run_thread(struct run *run, struct failure *failure)
{
    pthread_t thread;

    if (call_progress(run, false) != 0)
        atomic_store(&run->stopped, true);
    if (check(&run->progress, failure) < 0 || start(&thread, run, failure) < 0)
        return;
    attend(run);
    pthread_join(thread, NULL);
    if (run->result < 0) {
        *failure = run->failure;
        return;
    }
    if (call_progress(run, true) != 0)
        atomic_store(&run->stopped, true);
    check(&run->progress, failure);
}

static int run_plan(struct run *run, struct failure *failure)
{
    pthread_condattr_t monotonic;

    if (pthread_condattr_init(&monotonic) != 0)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&run->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&run->lock, NULL);
    progress_init(&run->progress, &ops, run->plan->plan.bytes);
    run_thread(run, failure);
    progress_fini(&run->progress);
    pthread_mutex_destroy(&run->lock);
    pthread_cond_destroy(&run->changed);
    return failure->status == TRIT_OK ? 0 : -1;
}

static int run_init(struct run *run, struct trit_client *client,
                    const struct trit_file *source,
                    const struct trit_run_options *options, struct failure *failure)
{
    struct trit_layer_ref layer = {.size = sizeof(layer)};

    if (sized_take_optional(&sized_run_options, "options", options, &run->options,
                            failure) < 0 ||
        sized_take_optional(&sized_call_options, "options.call", run->options.call,
                            &run->call, failure) < 0 ||
        sized_take_optional(&sized_layer_ref, "options.layer", run->options.layer, &layer,
                            failure) < 0 ||
        (run->options.report &&
         sized_check(&sized_report, "options.report", run->options.report, failure) < 0))
        return -1;
    if (source->checkpoint.table != run->plan->plan.contents.table)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "source",
                          "%s is another file than the one that was planned",
                          source->path);
    if (!run->writer)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "output",
                          "is the output of another plan");
    call_engine_init(&run->engine, client, &layer, call_ended);
    run->engine.timeout_ms = run->call.timeout_ms;
    return 0;
}

enum trit_status trit_plan_run(struct trit_plan *plan, struct trit_client *client,
                               struct trit_file *source, struct trit_output *output,
                               const struct trit_run_options *options,
                               struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (client_check(client, error, &failure) < 0)
        return client_answer(&failure, error);
    if (!plan || !source || !output) {
        fail_null(&failure, !plan ? "plan" : !source ? "source" : "output");
        return client_answer(&failure, error);
    }
    struct run run = {
        .plan = plan, .reader = source->reader, .writer = output_writer(output, plan)};
    if (run_init(&run, client, source, options, &failure) == 0)
        run_plan(&run, &failure);
    return client_answer(&failure, error);
}
