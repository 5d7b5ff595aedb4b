/* SPDX-License-Identifier: Apache-2.0 */
#include "app/app.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <uv.h>

#include "access/access.h"
#include "app/impl.h"
#include "app/notify.h"
#include "base/clock.h"
#include "grpc/grpc.h"
#include "layers/layers.h"
#include "memory/memory.h"
#include "net/listener.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "services/config.h"
#include "services/run_gauges.h"
#include "services/services.h"
#include "store/store.h"
#include "tls/tls.h"
#include "web/web.h"
#include "work/pool.h"

/* app_start creates the modules from the bottom up; app_run runs the loop. A signal or
 * app_stop begins the drain: health and readiness say no, and net sends GOAWAY and waits
 * for its connections. Then drained() waits for the last call of grpc, and idle()
 * destroys the modules from the top down. The loop ends when it has no handle left.
 *
 * A second stop closes the connections immediately; the rest is the same. */

/* Only the loop's thread moves. */
static void move(struct app *app, enum app_state to)
{
    unsigned state = atomic_load(&app->state);

    state_move(&app_states, &state, to);
    atomic_store(&app->state, state);
}

/* ---- stopping -------------------------------------------------------------------- */

static void set_hangups(int how)
{
    sigset_t hangup;

    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    pthread_sigmask(how, &hangup, NULL);
}

/* A stop that comes now, or that the mailbox still delivers while it closes, does nothing: what
 * it would abort is about to be destroyed. */
static void refuse_stops(struct app *app)
{
    pthread_mutex_lock(&app->stop_lock);
    app->ended = true;
    app->stops = 0;
    pthread_mutex_unlock(&app->stop_lock);
}

/* From the top down. Each step is harmless for a module that was not started. */
static void close_modules(struct app *app)
{
    struct loop *first = app->loops;

    refuse_stops(app);
    set_hangups(SIG_BLOCK); /* without a handler it would end the process */
    app_memory_stop(app);
    app_disk_stop(app);
    app_ready_stop(app);
    run_gauges_stop(app->run_gauges);
    web_stop(app->web);
    if (first)
        net_destroy(first->net);
    services_stop_jobs(first ? first->services : NULL);
    pool_stop(app->pool);
    store_reader_close(app->web_reader);
    store_reader_close(app->services_reader);
    store_close(app->store);
    loops_end_others(app);
    if (first) {
        grpc_destroy(first->grpc);
        services_destroy(first->services);
        first->services = NULL;
    }
    layers_close(app->layers);
    memory_destroy(app->memory);
    app_memory_close(app);
    if (first && first->mailbox)
        mailbox_close(first->mailbox);
    run_gauges_destroy(app->run_gauges);
    app->run_gauges = NULL;
    if (first && first->timers)
        timers_close(first->timers);
    for (size_t i = 0; i < SIGNALS; i++)
        if (app->signals[i].loop && !uv_is_closing((uv_handle_t *)&app->signals[i]))
            uv_close((uv_handle_t *)&app->signals[i], NULL);
    move(app, APP_CLOSED);
}

static void idle(struct app *app)
{
    log_event(app->log, LOG_INFO, "drained", LOG_FIELDS(LOG_STR("next", "exit")));
    close_modules(app);
}

static void drain_delay_over(struct timer *timer)
{
    loops_drain(LIST_OWNER(timer, struct app, drain_delay));
}

/* Health and readiness say no from now on. For drain_delay_ms new connections and calls
 * are still served, so that load balancers have time to notice. */
static void begin_drain(struct app *app)
{
    const uint64_t delay_ms = app->config.drain_delay_ms;

    move(app, APP_DRAINING);
    notify("STOPPING=1");
    log_event(app->log, LOG_INFO, "draining",
              LOG_FIELDS(LOG_U64("drain_delay_ms", delay_ms),
                         LOG_U64("drain_ms_max", app->config.limits.drain_ms_max)));
    loops_drain_calls(app);
    if (delay_ms > 0)
        timer_arm(app->loops[0].timers, &app->drain_delay,
                  clock_monotonic_ns() + delay_ms * 1000000);
    else
        loops_drain(app);
}

static void abort_drain(struct app *app)
{
    log_event(app->log, LOG_WARN, "aborting",
              LOG_FIELDS(LOG_STR("why", "stopped a second time")));
    if (app->drain_delay.due_ns) {
        timer_disarm(app->loops[0].timers, &app->drain_delay);
        loops_drain(app);
    }
    loops_abort(app);
}

static void stop(struct app *app)
{
    switch ((enum app_state)atomic_load(&app->state)) {
    case APP_SERVING:
        begin_drain(app);
        break;
    case APP_DRAINING:
        abort_drain(app);
        break;
    case APP_STARTING:
    case APP_FAILED:
    case APP_CLOSED:
    case APP_STATES:
        break;
    }
}

/* Signals may come faster than a reload takes: those of one turn of the loop are one, so that
 * calls have theirs between two reloads. */
static void signalled(uv_signal_t *handle, int number)
{
    struct app *app = handle->data;

    if (number == SIGHUP)
        loop_post(&app->loops[0], LOOP_HANGUP);
    else
        stop(app);
}

static void stop_delivered(struct mailbox_message *message)
{
    struct app *app = LIST_OWNER(message, struct app, stop);
    unsigned left;

    pthread_mutex_lock(&app->stop_lock);
    left = app->stops;
    app->stops = 0;
    pthread_mutex_unlock(&app->stop_lock);
    for (; left > 0; left--)
        stop(app);
}

void app_stop(struct app *app)
{
    pthread_mutex_lock(&app->stop_lock);
    if (!app->ended && app->stops++ == 0)
        mailbox_post(app->loops[0].mailbox, &app->stop);
    pthread_mutex_unlock(&app->stop_lock);
}

/* ---- starting ------------------------------------------------------------------ */

/* What concerns the daemon as a whole. */
static void take_news(struct app *app, unsigned news)
{
    if (news & SERVICES_FILED)
        run_gauges_filed(app->run_gauges);
    if (news & LOOP_FELL)
        app_memory_fell(app);
    if (news & LOOP_HANGUP)
        app_reload(app);
    if (news & LOOP_RELOADED)
        app_reloaded(app);
}

static int start_loops(struct app *app, struct failure *failure)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

    app->take_news = take_news;
    app->idle = idle;
    if (loops_open(app, failure) < 0)
        return -1;
    for (size_t i = 0; i < SIGNALS; i++) {
        uv_signal_init(&app->loops[0].uv, &app->signals[i]);
        app->signals[i].data = app;
        uv_signal_start(&app->signals[i], signalled, numbers[i]);
    }
    app->stop.deliver = stop_delivered;
    return 0;
}

static void start_failed_drained(void *arg)
{
    close_modules(arg);
}

static void start_failed(struct app *app)
{
    move(app, APP_FAILED);
    if (app->loops && app->loops[0].net)
        net_drain(app->loops[0].net, start_failed_drained, app);
    else
        close_modules(app);
    app_destroy(app);
}

int app_start(struct app **out, const struct config *config, struct failure *failure)
{
    struct app *app = calloc(1, sizeof(*app));

    if (!app)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory to start");
    app->config = *config;
    pthread_mutex_init(&app->stop_lock, NULL);
    timer_init(&app->drain_delay, drain_delay_over);
    if (app_start_base(app, failure) < 0 || start_loops(app, failure) < 0 ||
        app_start_modules(app, failure) < 0 || loops_start_others(app, failure) < 0) {
        start_failed(app);
        return -1;
    }
    move(app, APP_SERVING);
    *out = app;
    return 0;
}

const char *app_addresses(const struct app *app)
{
    return app->addresses;
}

void app_hold_hangups(void)
{
    set_hangups(SIG_BLOCK);
}

void app_run(struct app *app)
{
    set_hangups(SIG_UNBLOCK);
    loops_run_first(app);
}

void app_destroy(struct app *app)
{
    if (!app)
        return;
    loops_run_first(app);
    loops_destroy(app);
    app_disk_close(app);
    access_destroy(app->access);
    tls_context_destroy(app->tls);
    metrics_destroy(app->metrics);
    log_destroy(app->log);
    pthread_mutex_destroy(&app->stop_lock);
    free(app);
}
