/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.Backward of many rows, whose client goes away. */
#include <string.h>

#include "proto/codec/layers.h"
#include "tests/lib/asks.h"
#include "tests/lib/check.h"
#include "tests/lib/slow_product.h"

enum { OUT = 16, IN = 128, BATCH = 2048 }; /* IN is one piece of grad_input */

static float xs[BATCH * IN], grads[BATCH * OUT];

static void put_tensor(struct request *message, uint32_t number, uint64_t columns,
                       const float *data)
{
    struct wire_tensor tensor = tensor_2d(TRIT_F32, BATCH, columns);
    size_t bytes = (size_t)(BATCH * columns) * sizeof(*data);
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

static void create_layer(struct service *service)
{
    struct wire_layer_spec spec = {.name = "l", .in_features = IN, .out_features = OUT};
    uint8_t bytes[LAYER_SPEC_BYTES_MAX];
    struct request message = {0}, request;
    struct exchange exchange;

    request_put(&message, bytes, encode_layer_spec(&spec, bytes, sizeof(bytes)));
    request = framed(&message);
    ask(service, &exchange, "/trit.v1.Layers/Create", &request, 0);
    CHECK_EQ(exchange.status, 0);
    exchange_free(&exchange);
}

static struct request ask_backward(void)
{
    struct request message = {0};

    request_put(&message, "\x0a\x01l", 3);
    put_tensor(&message, 14, IN, xs);
    put_tensor(&message, 15, OUT, grads);
    return framed(&message);
}

CASE(whole, "a product of 2048 rows is computed in parts")
{
    struct service_options options = service_defaults();
    struct service *service = service_open(&options);
    struct request request;
    struct exchange exchange;

    create_layer(service);
    slow_product_hold();
    slow_product_release();
    request = ask_backward();
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

    create_layer(service);
    slow_product_hold();
    request = ask_backward();
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
