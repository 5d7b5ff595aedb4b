/* SPDX-License-Identifier: Apache-2.0 */
/* The health service on the gRPC core, without the rest of the daemon. */
#include <string.h>

#include "base/clock.h"
#include "proto/codec/codec.h"
#include "services/health.h"
#include "services/methods.h"
#include "services/shared.h"
#include "tests/lib/check.h"
#include "tests/lib/grpc_server.h"

static const struct method *const methods[] = {&method_health_check, &method_health_list,
                                               &method_health_watch};

static void health_open(struct server *server, struct services *services)
{
    memset(services, 0, sizeof(*services));
    health_init(&services->health);
    server_open(server, methods, 3, services, NULL);
}

static void health_close(struct server *server, struct services *services)
{
    health_fini(&services->health);
    server_close(server);
}

static void watch(struct server *server, struct exchange *exchange)
{
    server_start(server, exchange, "/grpc.health.v1.Health/Watch", "", NULL);
    exchange_await(exchange, 0);
}

static unsigned status_at(const struct exchange *exchange, size_t index)
{
    size_t count;
    const uint8_t *message = exchange_message(exchange, index, &count);

    CHECK(message && count == 2);
    return message[1];
}

static unsigned check_now(struct server *server)
{
    struct exchange exchange;

    server_start(server, &exchange, "/grpc.health.v1.Health/Check", "", NULL);
    exchange_finish(&exchange);
    unsigned status = status_at(&exchange, 0);

    exchange_free(&exchange);
    return status;
}

static struct call *watching(struct services *services)
{
    return LIST_OWNER(services->health.watches.list.next, struct place, link)->call;
}

CASE(store,
     "watches of the health learn that the store fails, and that it works again when "
     "a report is on disk; the refusal of one report changes nothing")
{
    struct server server;
    struct services services;
    struct exchange exchange;

    health_open(&server, &services);
    watch(&server, &exchange);
    CHECK_EQ(status_at(&exchange, 0), HEALTH_SERVING);
    health_store_ended(watching(&services), TRIT_ALREADY_EXISTS, true);
    CHECK_EQ(check_now(&server), HEALTH_SERVING);
    health_store_ended(watching(&services), TRIT_RESOURCE_EXHAUSTED, true);
    CHECK_EQ(check_now(&server), HEALTH_SERVING);
    health_store_ended(watching(&services), TRIT_UNAVAILABLE, true);
    exchange_await(&exchange, 1);
    CHECK_EQ(status_at(&exchange, 1), HEALTH_NOT_SERVING);
    CHECK_EQ(check_now(&server), HEALTH_NOT_SERVING);
    health_store_ended(watching(&services), TRIT_ALREADY_EXISTS, true);
    health_store_ended(watching(&services), TRIT_OK, false);
    CHECK_EQ(check_now(&server), HEALTH_NOT_SERVING);
    health_store_ended(watching(&services), TRIT_OK, true);
    exchange_await(&exchange, 2);
    CHECK_EQ(status_at(&exchange, 2), HEALTH_SERVING);
    exchange_cancel(&exchange);
    CHECK_EQ(services.health.watches.count, 0);
    exchange_free(&exchange);
    health_close(&server, &services);
}

CASE(expiry,
     "a failure of the store is forgotten after a while, so that reports come again")
{
    struct server server;
    struct services services;
    struct exchange exchange;

    health_open(&server, &services);
    watch(&server, &exchange);
    health_store_ended(watching(&services), TRIT_INTERNAL, true);
    exchange_await(&exchange, 1);
    /* As if the time had passed. */
    services.health.store_failed_ns -= (uint64_t)HEALTH_STORE_FAILED_MS * 1000000u;
    timer_arm(server.timers, &services.health.recheck, clock_monotonic_ns());
    exchange_await(&exchange, 2);
    CHECK_EQ(status_at(&exchange, 2), HEALTH_SERVING);
    exchange_free(&exchange);
    health_close(&server, &services);
}

CASE(drain, "a drain is told, and its end ends a watch and every later one")
{
    struct server server;
    struct services services;
    struct exchange before, after;

    health_open(&server, &services);
    watch(&server, &before);
    grpc_drain(server.grpc);
    exchange_await(&before, 1);
    CHECK_EQ(status_at(&before, 1), HEALTH_NOT_SERVING);
    CHECK_EQ(services.health.watches.count, 1);
    grpc_finish(server.grpc);
    exchange_finish(&before);
    CHECK_EQ(before.status, TRIT_UNAVAILABLE);
    watch(&server, &after);
    exchange_finish(&after);
    CHECK_EQ(status_at(&after, 0), HEALTH_NOT_SERVING);
    CHECK_EQ(after.status, TRIT_UNAVAILABLE);
    exchange_free(&before);
    exchange_free(&after);
    health_close(&server, &services);
}

CASE(bounded, "the watches of a connection are bounded")
{
    struct server server;
    struct services services;
    struct exchange exchanges[HEALTH_WATCHES_PER_CONNECTION_MAX + 1];
    enum { LAST = HEALTH_WATCHES_PER_CONNECTION_MAX };

    health_open(&server, &services);
    for (size_t i = 0; i < LAST; i++)
        watch(&server, &exchanges[i]);
    watch(&server, &exchanges[LAST]);
    exchange_finish(&exchanges[LAST]);
    CHECK_EQ(exchanges[LAST].status, TRIT_RESOURCE_EXHAUSTED);
    CHECK_EQ(
        server_metric(&server, "tritd_limit_refusals_total{limit=\"health_watches\"}"),
        1);
    exchange_free(&exchanges[LAST]);
    exchange_cancel(&exchanges[0]);
    watch(&server, &exchanges[LAST]);
    CHECK_EQ(status_at(&exchanges[LAST], 0), HEALTH_SERVING);
    CHECK_EQ(services.health.watches.count, LAST);
    for (size_t i = 0; i <= LAST; i++)
        exchange_free(&exchanges[i]);
    h2_destroy(server.session);
    server.session = NULL;
    CHECK_EQ(services.health.watches.count, 0);
    health_close(&server, &services);
}
