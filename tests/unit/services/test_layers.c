/* SPDX-License-Identifier: Apache-2.0 */
/* The Layers service where transport, cancelling and memory matter; what the
 * methods compute is checked by tests/e2e/test_layers.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "kernels/kernels.h"
#include "proto/codec/layers.h"
#include "proto/framing.h"
#include "tests/lib/asks.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"

enum { ROWS = 70, COLUMNS = 300, BATCH = 5 };

static struct service *service;
static float weights[ROWS * COLUMNS], xs[BATCH * COLUMNS], grads[BATCH * ROWS];

static void open_service(uint64_t memory_bytes_max)
{
    struct service_options options = service_defaults();

    if (memory_bytes_max)
        options.limits.memory_bytes_max = memory_bytes_max;
    service = service_open(&options);
    random_weights(weights, ROWS * COLUMNS, 1);
    random_weights(xs, BATCH * COLUMNS, 2);
    random_weights(grads, BATCH * ROWS, 3);
}

/* ---- requests ------------------------------------------------------------------- */

static struct wire_layer_spec spec_of(const char *name, uint64_t rows, uint64_t columns)
{
    struct wire_layer_spec spec = {.in_features = columns, .out_features = rows};

    strcpy(spec.name, name);
    return spec;
}

/* Bytes of a message are gathered, then framed. */
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

static void put_spec(struct request *message, const struct wire_layer_spec *spec)
{
    uint8_t bytes[LAYER_SPEC_BYTES_MAX];

    request_put(message, bytes, encode_layer_spec(spec, bytes, sizeof(bytes)));
}

/* A name is field 1, as the service of a health check is. */
static void put_name(struct request *message, const char *name)
{
    uint8_t bytes[300];

    request_put(message, bytes, encode_health_check(name, bytes, sizeof(bytes)));
}

static struct request framed(struct request *message)
{
    struct request request = {0};

    request_message(&request, message->bytes, message->count, NULL, 0);
    request_free(message);
    return request;
}

static struct request ask_load(const char *name)
{
    struct wire_layer_spec spec = spec_of(name, ROWS, COLUMNS);
    struct request message = {0};

    put_spec(&message, &spec);
    put_tensor(&message, 15, ROWS, COLUMNS, weights);
    return framed(&message);
}

static struct request ask_create(const char *name, uint64_t rows, uint64_t columns)
{
    struct wire_layer_spec spec = spec_of(name, rows, columns);
    struct request message = {0};

    put_spec(&message, &spec);
    return framed(&message);
}

static struct request ask_name(const char *name)
{
    struct request message = {0};

    put_name(&message, name);
    return framed(&message);
}

static struct request ask_forward(const char *name, uint64_t batch, uint64_t columns,
                                  const float *x)
{
    struct request message = {0};

    put_name(&message, name);
    put_tensor(&message, 15, batch, columns, x);
    return framed(&message);
}

/* With int8 activations and their error. */
static struct request ask_int8(const char *name)
{
    static const uint8_t fields[] = {0x10, 1, 0x18, 1};
    struct request message = {0};

    put_name(&message, name);
    request_put(&message, fields, sizeof(fields));
    put_tensor(&message, 15, BATCH, COLUMNS, xs);
    return framed(&message);
}

static struct request ask_layer_backward(const char *name)
{
    struct request message = {0};

    put_name(&message, name);
    put_tensor(&message, 14, BATCH, COLUMNS, xs);
    put_tensor(&message, 15, BATCH, ROWS, grads);
    return framed(&message);
}

static const char create_path[] = "/trit.v1.Layers/Create";
static const char load_path[] = "/trit.v1.Layers/Load";
static const char get_path[] = "/trit.v1.Layers/Get";
static const char delete_path[] = "/trit.v1.Layers/Delete";
static const char forward_path[] = "/trit.v1.Layers/Forward";
static const char layer_backward_path[] = "/trit.v1.Layers/Backward";
static const char layers_verify_path[] = "/trit.v1.Layers/Verify";

/* One call; gives its status. */
static int status_of(const char *path, struct request request)
{
    struct exchange exchange;
    int status;

    ask(service, &exchange, path, &request, 0);
    status = exchange.status;
    exchange_free(&exchange);
    return status;
}

/* ---- cases ----------------------------------------------------------------------- */

static void same_reply(const char *path, struct request whole, struct request cut,
                       size_t bytes)
{
    struct exchange one, other;

    ask(service, &one, path, &whole, 0);
    ask(service, &other, path, &cut, bytes);
    CHECK_EQ(one.status, 0);
    CHECK_EQ(other.status, 0);
    CHECK_EQ(one.body_count, other.body_count);
    CHECK_MEM(one.body, other.body, one.body_count);
    exchange_free(&one);
    exchange_free(&other);
}

CASE(cut_anywhere, "layers and products do not depend on where requests are cut")
{
    static const size_t cuts[] = {1, 7, 1000};

    for (size_t i = 0; i < 3; i++) {
        struct exchange exchange;
        struct request load;

        open_service(0);
        CHECK_EQ(status_of(load_path, ask_load("a")), 0);
        load = ask_load("b");
        ask(service, &exchange, load_path, &load, cuts[i]);
        CHECK_EQ(exchange.status, 0);
        exchange_free(&exchange);
        same_reply(forward_path, ask_forward("a", BATCH, COLUMNS, xs),
                   ask_forward("b", BATCH, COLUMNS, xs), cuts[i]);
        same_reply(forward_path, ask_int8("a"), ask_int8("b"), cuts[i]);
        same_reply(layer_backward_path, ask_layer_backward("a"), ask_layer_backward("b"),
                   cuts[i]);
        service_close(service);
    }
}

CASE(reset_during_upload,
     "a Load that is reset during its upload leaves neither its name nor memory")
{
    struct request load;
    struct exchange exchange;

    open_service(0);
    load = ask_load("a");
    load.count -= 1000;
    exchange_begin(service_connection(service), &exchange, load_path, &load, 0, true,
                   NULL);
    exchange_upload(&exchange);
    CHECK_EQ(status_of(get_path, ask_name("a")), TRIT_NOT_FOUND);
    CHECK_EQ(status_of(create_path, ask_create("a", 2, 16)), TRIT_ALREADY_EXISTS);
    exchange_cancel(&exchange);
    service_wait_idle(service);
    CHECK_EQ(status_of(get_path, ask_name("a")), TRIT_NOT_FOUND);
    CHECK_EQ(status_of(load_path, ask_load("a")), 0);
    exchange_free(&exchange);
    request_free(&load);
    service_close(service);
}

CASE(reset_during_build, "a Create that is reset leaves neither its name nor memory")
{
    struct request create = ask_create("a", 4096, 4096);
    struct exchange exchange;

    open_service(0);
    exchange_begin(service_connection(service), &exchange, create_path, &create, 0, false,
                   NULL);
    exchange_upload(&exchange);
    exchange_cancel(&exchange);
    service_wait_idle(service);
    CHECK_EQ(status_of(create_path, ask_create("a", 2, 16)), 0);
    exchange_free(&exchange);
    request_free(&create);
    service_close(service);
}

CASE(deadline_during_build, "a Create that exceeds its deadline leaves no layer")
{
    struct request create = ask_create("a", 8192, 8192);
    struct exchange exchange;

    open_service(0);
    exchange_begin(service_connection(service), &exchange, create_path, &create, 0, false,
                   "1m");
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_DEADLINE_EXCEEDED);
    service_wait_idle(service);
    CHECK_EQ(status_of(get_path, ask_name("a")), TRIT_NOT_FOUND);
    exchange_free(&exchange);
    request_free(&create);
    service_close(service);
}

CASE(deleted_while_in_use, "a product finishes although its layer is deleted meanwhile")
{
    enum { LARGE = 1024, MANY = 256 };
    float *x = malloc(LARGE * MANY * sizeof(*x));
    struct request forward;
    struct exchange first, second;

    open_service(0);
    CHECK(x);
    random_weights(x, LARGE * MANY, 5);
    CHECK_EQ(status_of(create_path, ask_create("a", LARGE, LARGE)), 0);
    forward = ask_forward("a", MANY, LARGE, x);
    exchange_begin(service_connection(service), &first, forward_path, &forward, 0, false,
                   NULL);
    exchange_finish(&first);
    exchange_begin(service_connection(service), &second, forward_path, &forward, 0, false,
                   NULL);
    exchange_upload(&second);
    CHECK_EQ(status_of(delete_path, ask_name("a")), 0);
    CHECK_EQ(status_of(get_path, ask_name("a")), TRIT_NOT_FOUND);
    exchange_finish(&second);
    CHECK_EQ(second.status, 0);
    CHECK_EQ(first.body_count, second.body_count);
    CHECK_MEM(first.body, second.body, first.body_count);
    exchange_free(&first);
    exchange_free(&second);
    request_free(&forward);
    free(x);
    service_wait_idle(service);
    service_close(service);
}

CASE(bounded_by_the_budget,
     "layers and tensors above the budget are refused, and other calls continue")
{
    float *x = calloc(16384, COLUMNS * sizeof(*x));

    CHECK(x);
    open_service(5 << 20);
    CHECK_EQ(status_of(load_path, ask_load("a")), 0);
    CHECK_EQ(status_of(forward_path, ask_forward("a", 16384, COLUMNS, x)),
             TRIT_RESOURCE_EXHAUSTED);
    CHECK_EQ(status_of(forward_path, ask_forward("a", BATCH, COLUMNS, xs)), 0);
    CHECK_EQ(status_of(create_path, ask_create("b", 8192, 8192)),
             TRIT_RESOURCE_EXHAUSTED);
    free(x);
    service_close(service);
}

CASE(malformed, "ids that are not a packed uint32 are refused")
{
    static const uint8_t open_id[] = {0x0a, 1, 'e', 0x12, 2, 0x80, 0x80};
    static const uint8_t long_id[] = {0x0a, 1,    'e',  0x12, 6,   0xff,
                                      0xff, 0xff, 0xff, 0xff, 0x01};
    static const uint8_t loose_id[] = {0x0a, 1, 'e', 0x10, 0};
    static const char embed_path[] = "/trit.v1.Layers/Embed";
    const struct {
        const uint8_t *bytes;
        size_t count;
    } asks[] = {{open_id, 7}, {long_id, 11}, {loose_id, 5}};

    open_service(0);
    for (size_t i = 0; i < 3; i++) {
        struct request request = {0};

        request_message(&request, asks[i].bytes, asks[i].count, NULL, 0);
        CHECK_EQ(status_of(embed_path, request), TRIT_INVALID_ARGUMENT);
    }
    service_close(service);
}

/* A page of List as large as the peer asks. */
CASE(pages_are_bounded, "a page of List holds at most LIST_PAGE_MAX layers")
{
    static const uint8_t fields[] = {0x10, 0xff, 0xff, 0xff, 0xff, 0x0f};
    struct request message = {0}, list;
    struct exchange exchange;
    const uint8_t *reply;
    size_t count, entries = 0;
    char name[16];

    open_service(0);
    for (unsigned i = 0; i <= LIST_PAGE_MAX; i++) {
        snprintf(name, sizeof(name), "%04u", i);
        CHECK_EQ(status_of(create_path, ask_create(name, 1, 16)), 0);
    }
    request_put(&message, fields, sizeof(fields));
    list = framed(&message);
    ask(service, &exchange, "/trit.v1.Layers/List", &list, 0);
    CHECK_EQ(exchange.status, 0);
    reply = exchange_message(&exchange, 0, &count);
    CHECK(reply);
    for (size_t at = 0; at < count && reply[at] == 0x0a; at += 2 + reply[at + 1])
        entries++;
    CHECK_EQ(entries, LIST_PAGE_MAX);
    exchange_free(&exchange);
    service_close(service);
}

/* The nth allocation from a call's start on fails, whichever that is. */
static void memory_fails(const char *path, struct request (*ask_for)(const char *name),
                         const char *name)
{
    for (uint64_t n = 1; n < 2000; n++) {
        struct exchange exchange;
        struct request request;
        bool hit;

        open_service(0);
        CHECK_EQ(status_of(load_path, ask_load("a")), 0);
        request = ask_for(name);
        exchange_begin(service_connection(service), &exchange, path, &request, 0, false,
                       NULL);
        fault_arm(FAULT_MEMORY | FAULT_MAP, n, FAULT_ONCE);
        exchange_finish(&exchange);
        hit = fault_disarm();
        CHECK(service_broken(service) || exchange.status >= 0 || exchange.closed);
        exchange_free(&exchange);
        request_free(&request);
        service_close(service);
        if (!hit) {
            CHECK_EQ(exchange.status, 0);
            return;
        }
    }
    check_failed(__FILE__, __LINE__, "more allocations than one call can need");
}

static struct request ask_forward_of(const char *name)
{
    return ask_forward(name, BATCH, COLUMNS, xs);
}

CASE(memory_fails_in_each,
     "whichever allocation fails, calls end and nothing is left behind")
{
    memory_fails(load_path, ask_load, "b");
    memory_fails(get_path, ask_name, "a");
    memory_fails(forward_path, ask_forward_of, "a");
    memory_fails(forward_path, ask_int8, "a");
    memory_fails(layer_backward_path, ask_layer_backward, "a");
    memory_fails(layers_verify_path, ask_name, "a");
    memory_fails(delete_path, ask_name, "a");
}
