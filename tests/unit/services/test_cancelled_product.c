/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.Backward of many rows: in how many parts it is computed, and when it stops. */
#include <string.h>

#include "base/clock.h"
#include "proto/codec/layers.h"
#include "services/shared.h"
#include "tests/lib/asks.h"
#include "tests/lib/check.h"
#include "tests/lib/slow_product.h"
#include "work/pool.h"

enum {
    OUT = 16,
    IN = 128, /* one piece of grad_input */
    BATCH = 2048,
    WIDE_IN = 512, /* four pieces of grad_input, of a quarter of the rows */
};

static const uint64_t worker_ns_max = 2000000; /* as in services/layers/parallel.c */

static float xs[BATCH * IN], grads[BATCH * OUT];

static void put_tensor(struct request *message, uint32_t number, uint64_t rows,
                       uint64_t columns, const float *data)
{
    struct wire_tensor tensor = tensor_2d(TRIT_F32, rows, columns);
    size_t bytes = (size_t)(rows * columns) * sizeof(*data);
    uint8_t head[256];

    request_put(message, head,
                encode_layer_tensor(number, &tensor, bytes, head, sizeof(head)));
    request_put(message, data, bytes);
}

static struct request framed(struct request *message)
{
    struct request request = {0};

    request_message(&request, message->bytes, message->count, NULL, 0);
    request_free(message);
    return request;
}

static void create_layer(struct service *service, uint64_t in)
{
    struct wire_layer_spec spec = {.name = "l", .in_features = in, .out_features = OUT};
    uint8_t bytes[LAYER_SPEC_BYTES_MAX];
    struct request message = {0}, request;
    struct exchange exchange;

    request_put(&message, bytes, encode_layer_spec(&spec, bytes, sizeof(bytes)));
    request = framed(&message);
    ask(service, &exchange, "/trit.v1.Layers/Create", &request, 0);
    CHECK_EQ(exchange.status, 0);
    exchange_free(&exchange);
}

/* Of as many elements, whatever `in` is. */
static struct request ask_backward(uint64_t in)
{
    struct request message = {0};

    request_put(&message, "\x0a\x01l", 3);
    put_tensor(&message, 14, BATCH * IN / in, in, xs);
    put_tensor(&message, 15, BATCH * IN / in, OUT, grads);
    return framed(&message);
}

CASE(whole, "a product of 2048 rows is computed in parts")
{
    struct service_options options = service_defaults();
    struct service *service = service_open(&options);
    struct request request;
    struct exchange exchange;

    create_layer(service, IN);
    slow_product_hold();
    slow_product_release();
    request = ask_backward(IN);
    ask(service, &exchange, "/trit.v1.Layers/Backward", &request, 0);
    CHECK_EQ(exchange.status, 0);
    CHECK_EQ(slow_product_count(), 4);
    exchange_free(&exchange);
    service_close(service);
}

CASE(cancelled, "a cancelled call computes no further part")
{
    struct service_options options = service_defaults();
    struct service *service = service_open(&options);
    struct request request;
    struct exchange exchange;

    create_layer(service, IN);
    slow_product_hold();
    request = ask_backward(IN);
    exchange_begin(service_connection(service), &exchange, "/trit.v1.Layers/Backward",
                   &request, 0, false, NULL);
    exchange_upload(&exchange);
    while (!slow_product_waits())
        service_turn(service);
    exchange_cancel(&exchange);
    service_turn(service);
    slow_product_release();
    exchange_free(&exchange);
    request_free(&request);
    service_close(service);
    CHECK_EQ(slow_product_count(), 1);
}

/* Begins a product of four pieces, of which the first one takes a worker's time. How many pieces
 * it computes before it returns to the loop. */
static unsigned pieces_at_once(struct service *service)
{
    const struct pool *pool = service_services(service)->config.pool;
    struct request request = ask_backward(WIDE_IN);
    struct exchange exchange;
    unsigned count;
    uint64_t begun;

    slow_product_hold();
    exchange_begin(service_connection(service), &exchange, "/trit.v1.Layers/Backward",
                   &request, 0, false, NULL);
    exchange_upload(&exchange);
    while (!slow_product_waits())
        service_turn(service);
    for (begun = clock_monotonic_ns(); clock_monotonic_ns() - begun <= worker_ns_max;)
        ;
    slow_product_release();
    while (pool_busy(pool) > 0)
        ;
    count = slow_product_count();
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, 0);
    exchange_free(&exchange);
    request_free(&request);
    return count;
}

CASE(alone, "a worker whose time is over goes on while no job waits")
{
    struct service_options options = service_defaults();
    struct service *service;
    unsigned tries = 100; /* a machine that stalls takes the worker's time */

    options.threads = 1;
    service = service_open(&options);
    create_layer(service, WIDE_IN);
    slow_product_leave_out();
    while (pieces_at_once(service) < 4)
        CHECK(--tries > 0);
    service_close(service);
}
