/* SPDX-License-Identifier: Apache-2.0 */
/* The loops. Each has its connections, calls, services, timers and blocks. The first one runs
 * on the thread of app_run: it accepts sockets, has the signals, the jobs and what belongs to
 * the daemon as a whole. The others have threads of their own.
 *
 *   start   every loop is created on the main thread; then the threads begin
 *   news    bits that each loop takes on its thread, one message for all that came meanwhile
 *   drain   the first loop drains its net, then the others; each tells it when its last call
 *           has ended
 *   end     when all have, and workers and store have stopped, each closes what it has and
 *           its thread ends */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/impl.h"
#include "base/clock.h"
#include "base/machine.h"
#include "grpc/grpc.h"
#include "net/listener.h"
#include "obs/log.h"
#include "services/services.h"
#include "work/blocks.h"

/* One core moves and answers as much as about this many compute, and a loop beside idle
 * workers only takes their cores: docs/performance.md has the figures. */
enum { CORES_PER_LOOP = 8 };

static unsigned default_loops(void)
{
    const unsigned loops = machine_cores("") / CORES_PER_LOOP;

    return loops < 1 ? 1 : loops < LOOPS_MAX ? loops : LOOPS_MAX;
}

static bool is_first(const struct loop *loop)
{
    return loop == &loop->app->loops[0];
}

/* ---- news --------------------------------------------------------------------------- */

static void take_limits(struct loop *loop)
{
    struct app *app = loop->app;

    pthread_mutex_lock(&app->limits_lock);
    loop->limits = app->limits;
    atomic_store(&loop->reloads_seen, app->reloads);
    pthread_mutex_unlock(&app->limits_lock);
    loop_tell(&app->loops[0], LOOP_RELOADED);
}

static void take_news(struct loop *loop, unsigned news)
{
    struct app *app = loop->app;

    if (news & LOOP_RELOAD)
        take_limits(loop);
    if (loop->services)
        services_take_news(loop->services, loop->grpc, news);
    if (is_first(loop))
        app->take_news(app, news);
}

static void deliver_news(struct mailbox_message *message)
{
    struct loop *loop = LIST_OWNER(message, struct loop, news_message);

    take_news(loop, atomic_exchange(&loop->news, 0));
}

void loop_post(struct loop *loop, unsigned news)
{
    if (atomic_fetch_or(&loop->news, news) == 0)
        mailbox_post(loop->mailbox, &loop->news_message);
}

void loop_tell(struct loop *loop, unsigned news)
{
    if (loop->app->loop_count == 1)
        take_news(loop, news);
    else
        loop_post(loop, news);
}

void loops_tell(void *arg, unsigned news)
{
    struct app *app = arg;

    for (unsigned i = 0; i < app->loop_count; i++)
        loop_tell(&app->loops[i], news);
}

/* ---- drain and end ------------------------------------------------------------------ */

/* On the first loop: one more loop has no call left. */
static void count_idle(struct app *app)
{
    const unsigned idle = ++app->idle_loops;

    if (idle == app->loop_count)
        app->idle(app);
    else if (idle == app->loop_count - 1)
        net_others_drained(app->loops[0].net);
}

static void deliver_idle(struct mailbox_message *message)
{
    count_idle(LIST_OWNER(message, struct loop, idle)->app);
}

static void on_idle(void *arg)
{
    struct loop *loop = arg;

    if (is_first(loop))
        count_idle(loop->app);
    else
        mailbox_post(loop->app->loops[0].mailbox, &loop->idle);
}

static void on_drained(void *arg)
{
    struct loop *loop = arg;

    grpc_on_idle(loop->grpc, on_idle, loop);
}

/* From the top down; the workers and the store have stopped. */
static void close_loop(struct loop *loop)
{
    net_destroy(loop->net);
    grpc_destroy(loop->grpc);
    services_destroy(loop->services);
    loop->services = NULL;
    if (loop->mailbox)
        mailbox_close(loop->mailbox);
    if (loop->timers)
        timers_close(loop->timers);
}

static void close_drained(void *arg)
{
    close_loop(arg);
}

/* A start that failed has not drained the net. */
static void end(struct loop *loop)
{
    if (loop->net && loop->app->idle_loops < loop->app->loop_count)
        net_drain(loop->net, close_drained, loop);
    else
        close_loop(loop);
}

static void deliver_drain_calls(struct mailbox_message *message)
{
    grpc_drain(LIST_OWNER(message, struct loop, drain_calls)->grpc);
}

static void drain(struct loop *loop)
{
    grpc_finish(loop->grpc);
    net_drain(loop->net, on_drained, loop);
}

static void deliver_drain(struct mailbox_message *message)
{
    drain(LIST_OWNER(message, struct loop, drain));
}

static void deliver_abort(struct mailbox_message *message)
{
    net_abort(LIST_OWNER(message, struct loop, abort)->net);
}

static void deliver_end(struct mailbox_message *message)
{
    end(LIST_OWNER(message, struct loop, end));
}

void loops_drain_calls(struct app *app)
{
    grpc_drain(app->loops[0].grpc);
    for (unsigned i = 1; i < app->loop_count; i++)
        mailbox_post(app->loops[i].mailbox, &app->loops[i].drain_calls);
}

/* The sockets that the first net gives away reach the others before the drain does. */
void loops_drain(struct app *app)
{
    drain(&app->loops[0]);
    for (unsigned i = 1; i < app->loop_count; i++)
        mailbox_post(app->loops[i].mailbox, &app->loops[i].drain);
}

void loops_abort(struct app *app)
{
    net_abort(app->loops[0].net);
    if (app->aborted)
        return;
    app->aborted = true;
    for (unsigned i = 1; i < app->loop_count; i++)
        mailbox_post(app->loops[i].mailbox, &app->loops[i].abort);
}

static void finish(struct loop *loop)
{
    if (!loop->open)
        return;
    while (uv_run(&loop->uv, UV_RUN_DEFAULT))
        continue;
    uv_loop_close(&loop->uv);
    loop->open = false;
}

void loops_end_others(struct app *app)
{
    for (unsigned i = 1; i < app->loop_count; i++) {
        struct loop *loop = &app->loops[i];

        if (loop->has_thread)
            mailbox_post(loop->mailbox, &loop->end);
    }
    for (unsigned i = 1; i < app->loop_count; i++) {
        struct loop *loop = &app->loops[i];

        if (loop->has_thread) {
            pthread_join(loop->thread, NULL);
            loop->has_thread = false;
        } else if (loop->open) {
            end(loop);
            finish(loop);
        }
    }
}

void loops_run_first(struct app *app)
{
    if (app->loops)
        finish(&app->loops[0]);
}

void loops_destroy(struct app *app)
{
    for (unsigned i = 0; i < app->loop_count; i++)
        blocks_destroy(app->loops[i].blocks);
    net_group_destroy(app->group);
    pthread_mutex_destroy(&app->limits_lock);
    free(app->loops);
}

/* ---- start -------------------------------------------------------------------------- */

static int open_loop(struct app *app, struct loop *loop, struct failure *failure)
{
    int error = uv_loop_init(&loop->uv);

    if (error)
        return fail(failure, TRIT_INTERNAL, NULL, "event loop: %s", uv_strerror(error));
    loop->app = app;
    loop->open = true;
    loop->limits = app->config.limits;
    loop->news_message.deliver = deliver_news;
    loop->drain_calls.deliver = deliver_drain_calls;
    loop->drain.deliver = deliver_drain;
    loop->abort.deliver = deliver_abort;
    loop->end.deliver = deliver_end;
    loop->idle.deliver = deliver_idle;
    if (mailbox_create(&loop->mailbox, &loop->uv, failure) < 0)
        return -1;
    return timers_create(&loop->timers, &loop->uv, failure);
}

int loops_open(struct app *app, struct failure *failure)
{
    const unsigned count = app->config.loops ? app->config.loops : default_loops();

    pthread_mutex_init(&app->limits_lock, NULL);
    app->limits = app->config.limits;
    app->loops = calloc(count, sizeof(app->loops[0]));
    if (!app->loops)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory to start");
    app->loop_count = count;
    for (unsigned i = 0; i < count; i++)
        if (open_loop(app, &app->loops[i], failure) < 0)
            return -1;
    return 0;
}

static void *loop_main(void *arg)
{
    finish(arg);
    return NULL;
}

int loops_start_others(struct app *app, struct failure *failure)
{
    sigset_t all, before;
    int error = 0;

    sigfillset(&all); /* the first loop handles signals */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 1; i < app->loop_count && error == 0; i++) {
        struct loop *loop = &app->loops[i];
        char name[16];

        error = pthread_create(&loop->thread, NULL, loop_main, loop);
        loop->has_thread = error == 0;
        snprintf(name, sizeof(name), "tritd-loop-%u", i % 100);
        if (loop->has_thread)
            pthread_setname_np(loop->thread, name);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error ? fail_field(failure, TRIT_RESOURCE_EXHAUSTED, "loops",
                              "cannot start the thread of a loop: %s", strerror(error))
                 : 0;
}
