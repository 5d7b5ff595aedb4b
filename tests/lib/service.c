/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/service.h"

#include <stdlib.h>
#include <string.h>

#include "async/loop.h"
#include "base/account.h"
#include "base/budget.h"
#include "base/peer.h"
#include "grpc/grpc.h"
#include "grpc/method.h"
#include "h2/session.h"
#include "kernels/kernels.h"
#include "layers/layers.h"
#include "obs/metrics.h"
#include "services/services.h"
#include "store/store.h"
#include "tests/lib/check.h"
#include "tests/lib/loop.h"
#include "work/blocks.h"
#include "work/pool.h"

enum { METHODS_MAX = 64 };

struct service {
    struct service_options options;
    struct uv_loop_s *loop;
    struct mailbox *mailbox;
    struct timers *timers;
    struct budget budget;
    struct account *account; /* of the calls; the session is charged to none */
    struct peer peer;
    struct blocks *blocks;
    struct pool *pool;
    struct metrics *metrics;
    struct store *store;
    struct layers *layers;
    struct store_reader *reader;
    struct services *services;
    struct grpc *grpc;
    struct h2_session *server;
    struct connection *connection;
    const char *methods[METHODS_MAX];
};

struct service_options service_defaults(void)
{
    return (struct service_options){
        .isa = "auto", .threads = 2, .limits = limits_default()};
}

/* ---- the service ------------------------------------------------------------------- */

static void wake(void *waker)
{
    (void)waker; /* every turn of the loop pumps anyway */
}

static void filed(void *arg)
{
    struct service *service = arg;

    if (service->services)
        services_take_news(service->services, NULL, SERVICES_FILED);
}

static void open_services(struct service *service)
{
    struct failure failure = {.status = TRIT_OK};
    const struct kernels *kernels = kernels_select(service->options.isa);
    const struct store_config store_config = {.mailbox = service->mailbox,
                                              .kernels = kernels,
                                              .metrics = service->metrics,
                                              .queue_max = 64,
                                              .filed = filed,
                                              .filed_arg = service};
    const struct layers_config layers_config = {.directory = service->options.data_dir,
                                                .budget = &service->budget,
                                                .metrics = service->metrics};
    struct services_config config = {
        .kernels = kernels,
        .pool = service->pool,
        .blocks = service->blocks,
        .budget = &service->budget,
        .metrics = service->metrics,
        .version = "test",
        .inline_bytes_max = service->options.inline_bytes_max,
    };
    struct grpc_config grpc_config = {
        .limits = &service->options.limits,
        .timers = service->timers,
        .metrics = service->metrics,
        .observe = services_observe,
    };

    CHECK(store_open(&service->store, &store_config, &failure) == 0);
    CHECK(store_reader_open(&service->reader, service->store, &failure) == 0);
    config.store = service->store;
    CHECK(layers_open(&service->layers, &layers_config, &failure) == 0);
    config.layers = service->layers;
    config.reader = service->reader;
    CHECK(services_create(&service->services, &config, &failure) == 0);
    grpc_config.methods = services_methods(&grpc_config.method_count);
    grpc_config.service = service->services;
    CHECK(grpc_create(&service->grpc, &grpc_config, &failure) == 0);
    service->server = h2_create(&service->options.limits, grpc_events(), service->grpc,
                                &service->peer, wake, NULL);
    CHECK(service->server);
    service->account = account_open(&service->budget, NULL);
    CHECK(service->account);
    service->peer.account = service->account;
}

struct service *service_open(const struct service_options *options)
{
    struct failure failure = {.status = TRIT_OK};
    struct service *service = calloc(1, sizeof(*service));
    const struct method *const *methods;
    size_t count;

    CHECK(service);
    service->options = *options;
    service->loop = loop_create();
    CHECK(mailbox_create(&service->mailbox, service->loop, &failure) == 0);
    CHECK(timers_create(&service->timers, service->loop, &failure) == 0);
    budget_init(&service->budget, options->limits.memory_bytes_max);
    service->blocks = blocks_create(&service->budget);
    CHECK(service->blocks);
    CHECK(pool_start(&service->pool, options->threads, service->mailbox, &failure) == 0);
    methods = services_methods(&count);
    CHECK(count <= METHODS_MAX);
    for (size_t i = 0; i < count; i++)
        service->methods[i] = methods[i]->path;
    service->metrics = metrics_create(service->methods, count, "test", "test");
    CHECK(service->metrics);
    open_services(service);
    service->connection = connection_create(service->server, service->loop);
    return service;
}

static void idle(void *arg)
{
    *(bool *)arg = true;
}

static bool is_true(void *arg)
{
    return *(bool *)arg;
}

void service_close(struct service *service)
{
    bool is_idle = false;

    h2_destroy(service->server);
    connection_destroy(service->connection);
    grpc_on_idle(service->grpc, idle, &is_idle);
    loop_run_until(service->loop, is_true, &is_idle);
    pool_stop(service->pool);
    layers_close(service->layers);
    CHECK_EQ(service->budget.bytes_used, 0);
    account_close(service->account);
    store_reader_close(service->reader);
    store_close(service->store);
    grpc_destroy(service->grpc);
    services_destroy(service->services);
    mailbox_close(service->mailbox);
    timers_close(service->timers);
    loop_destroy(service->loop);
    blocks_destroy(service->blocks);
    metrics_destroy(service->metrics);
    free(service);
}

bool service_broken(const struct service *service)
{
    return connection_broken(service->connection);
}

static bool service_is_idle(void *arg)
{
    struct service *service = arg;

    connection_pump(service->connection);
    return service->budget.bytes_used == 0;
}

void service_turn(struct service *service)
{
    loop_turn(service->loop);
}

void service_wait_idle(struct service *service)
{
    loop_run_until(service->loop, service_is_idle, service);
}

struct connection *service_connection(struct service *service)
{
    return service->connection;
}

/* ---- what it stands on ------------------------------------------------------------------ */

struct put {
    struct store_put put;
    struct trit_report report;
    bool done;
};

static void put_done(struct store_put *put)
{
    ((struct put *)(void *)put)->done = true;
}

void service_put(struct service *service, const struct trit_report *report)
{
    struct put put = {.put = {.done = put_done}, .report = *report};
    struct failure failure = {.status = TRIT_OK};

    put.put.report = &put.report;
    CHECK(store_begin(&put.put, service->store, &failure) == 0);
    store_commit(&put.put);
    loop_run_until(service->loop, is_true, &put.done);
    CHECK_EQ(put.put.failure.status, TRIT_OK);
}

struct services *service_services(struct service *service)
{
    return service->services;
}

struct timers *service_timers(struct service *service)
{
    return service->timers;
}

struct metrics *service_metrics(struct service *service)
{
    return service->metrics;
}

struct uv_loop_s *service_loop(struct service *service)
{
    return service->loop;
}
