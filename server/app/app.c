/* SPDX-License-Identifier: Apache-2.0 */
#include "app/app.h"

#include <assert.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "access/access.h"
#include "app/config.h"
#include "app/notify.h"
#include "app/state.h"
#include "async/loop.h"
#include "base/budget.h"
#include "base/clock.h"
#include "grpc/grpc.h"
#include "grpc/method.h"
#include "kernels/kernels.h"
#include "layers/layers.h"
#include "net/listener.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "services/services.h"
#include "store/store.h"
#include "web/web.h"
#include "work/blocks.h"
#include "work/pool.h"

/* app_start creates the modules from the bottom up; app_run runs the loop. A signal or
 * app_stop begins the drain: health and readiness say no, and net sends GOAWAY and waits
 * for its connections. Then drained() waits for the last call of grpc, and idle()
 * destroys the modules from the top down. The loop ends when it has no handle left.
 *
 * A second stop closes the connections immediately; the rest is the same. */

enum { METHODS_MAX = 64, SIGNALS = 3 };

struct app {
    const struct config *config;
    _Atomic unsigned state; /* enum app_state; the loop moves it, the web reads it */
    uv_loop_t loop;
    bool loop_open;
    uv_signal_t signals[SIGNALS];
    struct mailbox_message stop;
    _Atomic unsigned stops; /* calls of app_stop that the loop has not handled yet */
    const char *methods[METHODS_MAX];

    struct log *log;
    struct metrics *metrics;
    struct access *access;
    struct mailbox *mailbox;
    struct timers *timers;
    struct budget budget;
    struct blocks *blocks;
    const struct kernels *kernels;
    struct pool *pool;
    struct store *store;
    struct layers *layers;
    struct store_reader *services_reader, *web_reader;
    struct services *services;
    struct grpc *grpc;
    struct net *net;
    struct web *web;
    char addresses[1024];
};

/* Only the loop's thread moves. */
static void move(struct app *app, enum app_state to)
{
    unsigned state = atomic_load(&app->state);

    state_move(&app_states, &state, to);
    atomic_store(&app->state, state);
}

/* ---- stopping -------------------------------------------------------------------- */

/* From the top down. Each step is harmless for a module that was not started. */
static void close_modules(struct app *app)
{
    web_stop(app->web);
    net_destroy(app->net);
    pool_stop(app->pool);
    store_reader_close(app->web_reader);
    store_reader_close(app->services_reader);
    store_close(app->store);
    grpc_destroy(app->grpc);
    services_destroy(app->services);
    layers_close(app->layers);
    if (app->mailbox)
        mailbox_close(app->mailbox);
    if (app->timers)
        timers_close(app->timers);
    for (size_t i = 0; i < SIGNALS; i++)
        if (app->signals[i].loop && !uv_is_closing((uv_handle_t *)&app->signals[i]))
            uv_close((uv_handle_t *)&app->signals[i], NULL);
    move(app, APP_CLOSED);
}

static void idle(void *arg)
{
    struct app *app = arg;

    log_event(app->log, LOG_INFO, "drained", LOG_FIELDS(LOG_STR("next", "exit")));
    close_modules(app);
}

static void drained(void *arg)
{
    struct app *app = arg;

    grpc_on_idle(app->grpc, idle, app);
}

static void stop(struct app *app)
{
    switch ((enum app_state)atomic_load(&app->state)) {
    case APP_SERVING:
        move(app, APP_DRAINING);
        notify("STOPPING=1");
        log_event(app->log, LOG_INFO, "draining",
                  LOG_FIELDS(LOG_U64("drain_ms_max", app->config->limits.drain_ms_max)));
        grpc_drain(app->grpc);
        net_drain(app->net, drained, app);
        break;
    case APP_DRAINING:
        log_event(app->log, LOG_WARN, "aborting",
                  LOG_FIELDS(LOG_STR("why", "stopped a second time")));
        net_abort(app->net);
        break;
    case APP_STARTING:
    case APP_FAILED:
    case APP_CLOSED:
    case APP_STATES:
        break;
    }
}

/* SIGHUP: reads the token file again. Running calls go on. */
static void reload(struct app *app)
{
    struct failure failure = {.status = TRIT_OK};

    if (access_reload(app->access, &failure) < 0) {
        metric_add(app->metrics, M_RELOAD_FAILURES, 1);
        log_event(app->log, LOG_ERROR, "reload_failed",
                  LOG_FIELDS(LOG_STR("what", "token-file"),
                             LOG_STR("message", failure.message),
                             LOG_STR("next", "the old rules stay in force")));
        return;
    }
    metric_add(app->metrics, M_RELOADS, 1);
    log_event(app->log, LOG_INFO, "reloaded",
              LOG_FIELDS(LOG_U64("access_rules", access_count(app->access))));
}

static void signalled(uv_signal_t *handle, int number)
{
    if (number == SIGHUP)
        reload(handle->data);
    else
        stop(handle->data);
}

static void stop_delivered(struct mailbox_message *message)
{
    struct app *app = LIST_OWNER(message, struct app, stop);

    for (unsigned left = atomic_exchange(&app->stops, 0); left > 0; left--)
        stop(app);
}

void app_stop(struct app *app)
{
    if (atomic_fetch_add(&app->stops, 1) == 0)
        mailbox_post(app->mailbox, &app->stop);
}

/* ---- starting ------------------------------------------------------------------ */

static int start_log(struct app *app, struct failure *failure)
{
    const struct method *const *methods;
    const char *isa;
    size_t count;

    app->log = log_create(2, app->config->log_level, app->config->log_format);
    app->kernels = kernels_select(app->config->isa);
    if (!app->kernels)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "isa",
                          "\"%s\" is unknown or not supported by this CPU",
                          app->config->isa);
    isa = kernels_name(app->kernels);
    methods = services_methods(&count);
    assert(count <= METHODS_MAX);
    for (size_t i = 0; i < count; i++)
        app->methods[i] = methods[i]->path;
    app->metrics = metrics_create(app->methods, count, TRITD_VERSION, isa);
    if (!app->log || !app->metrics)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory to start");
    return 0;
}

static int start_selftest(struct app *app, struct failure *failure)
{
    uint64_t begin = clock_monotonic_ns();
    char message[256] = "";

    if (kernels_selftest(app->kernels, message, sizeof(message)) < 0)
        return fail(failure, TRIT_INTERNAL, "isa", "the self-test of %s failed: %s",
                    kernels_name(app->kernels), message);
    log_event(app->log, LOG_INFO, "selftest",
              LOG_FIELDS(LOG_STR("isa", kernels_name(app->kernels)),
                         LOG_U64("took_us", (clock_monotonic_ns() - begin) / 1000)));
    return 0;
}

static int start_loop(struct app *app, struct failure *failure)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    int error = uv_loop_init(&app->loop);

    if (error)
        return fail(failure, TRIT_INTERNAL, NULL, "event loop: %s", uv_strerror(error));
    app->loop_open = true;
    for (size_t i = 0; i < SIGNALS; i++) {
        uv_signal_init(&app->loop, &app->signals[i]);
        app->signals[i].data = app;
        uv_signal_start(&app->signals[i], signalled, numbers[i]);
    }
    if (mailbox_create(&app->mailbox, &app->loop, failure) < 0 ||
        timers_create(&app->timers, &app->loop, failure) < 0)
        return -1;
    app->stop.deliver = stop_delivered;
    return 0;
}

static int start_work(struct app *app, struct failure *failure)
{
    budget_init(&app->budget, app->config->limits.memory_bytes_max);
    budget_keep_last(&app->budget, app->budget.bytes_max / MEMORY_LAST_DIVISOR);
    metric_set(app->metrics, M_BUDGET_MAX, app->budget.bytes_max);
    app->blocks = blocks_create(&app->budget);
    if (!app->blocks)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory to start");
    return pool_start(&app->pool, app->config->threads, app->mailbox, failure);
}

static int start_store(struct app *app, struct failure *failure)
{
    const struct store_config config = {
        .directory = app->config->data_dir,
        .mailbox = app->mailbox,
        .kernels = app->kernels,
        .log = app->log,
        .metrics = app->metrics,
        .queue_max = app->config->limits.store_queue_max,
    };

    if (!config.directory)
        log_event(app->log, LOG_WARN, "reports_in_memory",
                  LOG_FIELDS(LOG_STR("why", "no --data-dir: reports are lost at exit")));
    if (store_open(&app->store, &config, failure) < 0 ||
        store_reader_open(&app->services_reader, app->store, failure) < 0)
        return -1;
    return store_reader_open(&app->web_reader, app->store, failure);
}

static int start_layers(struct app *app, struct failure *failure)
{
    const struct layers_config config = {
        .directory = app->config->data_dir,
        .budget = &app->budget,
        .log = app->log,
        .metrics = app->metrics,
    };

    return layers_open(&app->layers, &config, failure);
}

static int start_services(struct app *app, struct failure *failure)
{
    const struct services_config config = {
        .kernels = app->kernels,
        .pool = app->pool,
        .blocks = app->blocks,
        .budget = &app->budget,
        .store = app->store,
        .layers = app->layers,
        .reader = app->services_reader,
        .metrics = app->metrics,
        .version = TRITD_VERSION,
    };

    return services_create(&app->services, &config, failure);
}

static int start_access(struct app *app, struct failure *failure)
{
    const struct access_config config = {.token_file = app->config->token_file};

    return access_create(&app->access, &config, failure);
}

/* The gate of the RPC port. */
static int authorize(void *arg, const struct method *method, const struct peer *peer,
                     const char *authorization, struct failure *failure)
{
    struct app *app = arg;

    return access_allows(app->access, services_policy(method), method->path, peer,
                         authorization, failure);
}

static int start_grpc(struct app *app, struct failure *failure)
{
    struct grpc_config config = {
        .limits = &app->config->limits,
        .timers = app->timers,
        .metrics = app->metrics,
        .log = app->log,
        .service = app->services,
        .observe = services_observe,
        .authorize = authorize,
        .authorize_arg = app,
    };

    config.methods = services_methods(&config.method_count);
    return grpc_create(&app->grpc, &config, failure);
}

static int start_net(struct app *app, struct failure *failure)
{
    const struct net_config config = {
        .loop = &app->loop,
        .timers = app->timers,
        .limits = &app->config->limits,
        .events = grpc_events(),
        .events_owner = app->grpc,
        .budget = &app->budget,
        .log = app->log,
        .metrics = app->metrics,
    };
    size_t length = 0;

    if (net_create(&app->net, &config, failure) < 0)
        return -1;
    for (size_t i = 0; i < app->config->listen_count; i++) {
        char bound[256];

        if (net_listen(app->net, app->config->listen[i], bound, sizeof(bound), failure) <
            0)
            return -1;
        length +=
            (size_t)snprintf(app->addresses + length, sizeof(app->addresses) - length,
                             "%s%s", i ? "," : "rpc=", bound);
        if (length >= sizeof(app->addresses))
            return fail_field(failure, TRIT_INVALID_ARGUMENT, "listen",
                              "too many addresses, or too long ones");
    }
    return 0;
}

/* On the web's thread. */
static int ready(void *arg, char *why, size_t bytes)
{
    struct app *app = arg;

    switch ((enum app_state)atomic_load(&app->state)) {
    case APP_SERVING:
        return 0;
    case APP_STARTING:
        snprintf(why, bytes, "starting");
        return -1;
    default:
        snprintf(why, bytes, "draining");
        return -1;
    }
}

static int start_web(struct app *app, struct failure *failure)
{
    const struct web_config config = {
        .address = app->config->http,
        .reader = app->web_reader,
        .metrics = app->metrics,
        .log = app->log,
        .ready = ready,
        .ready_arg = app,
        .version = TRITD_VERSION,
    };
    size_t length = strlen(app->addresses);
    char bound[256] = "off";

    if (strcmp(config.address, "off") != 0 &&
        web_start(&app->web, &config, bound, sizeof(bound), failure) < 0)
        return -1;
    snprintf(app->addresses + length, sizeof(app->addresses) - length, " http=%s", bound);
    return 0;
}

/* Runs the loop until all of its handles are closed. */
static void finish_loop(struct app *app)
{
    if (!app->loop_open)
        return;
    while (uv_run(&app->loop, UV_RUN_DEFAULT))
        continue;
    uv_loop_close(&app->loop);
    app->loop_open = false;
}

static void start_failed_drained(void *arg)
{
    close_modules(arg);
}

static void start_failed(struct app *app)
{
    move(app, APP_FAILED);
    if (app->net)
        net_drain(app->net, start_failed_drained, app);
    else
        close_modules(app);
    app_destroy(app);
}

int app_start(struct app **out, const struct config *config, struct failure *failure)
{
    struct app *app = calloc(1, sizeof(*app));

    if (!app)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory to start");
    app->config = config;
    if (start_log(app, failure) < 0 || start_access(app, failure) < 0 ||
        start_selftest(app, failure) < 0 || start_loop(app, failure) < 0 ||
        start_work(app, failure) < 0 || start_store(app, failure) < 0 ||
        start_layers(app, failure) < 0 || start_services(app, failure) < 0 ||
        start_grpc(app, failure) < 0 || start_net(app, failure) < 0 ||
        start_web(app, failure) < 0) {
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

void app_run(struct app *app)
{
    finish_loop(app);
}

void app_destroy(struct app *app)
{
    if (!app)
        return;
    finish_loop(app);
    blocks_destroy(app->blocks);
    access_destroy(app->access);
    metrics_destroy(app->metrics);
    log_destroy(app->log);
    free(app);
}
