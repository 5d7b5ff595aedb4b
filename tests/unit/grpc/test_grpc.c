/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC core with a service of its own: nothing of tritd is in here. */
#include <string.h>

#include "base/peer.h"
#include "grpc/call.h"
#include "tests/lib/check.h"
#include "tests/lib/exchange.h"
#include "tests/lib/grpc_server.h"
#include "tests/lib/moves.h"

/* ---- a toy service: one method echoes, one waits, one takes many messages ---------- */

struct toy {
    size_t observed;
    struct call *waiting; /* held by Wait */
    size_t cancelled, finished;
};

struct echo {
    char text[64];
    size_t count;
};

static int echo_message(struct call *call)
{
    struct echo *echo = call->method_state;
    const struct scan_part *root = &call->scan.parts[0];

    if (root->count > sizeof(echo->text))
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "text",
                    "text: %zu bytes, at most 64 are echoed", root->count);
    memcpy(echo->text, root->bytes, root->count);
    echo->count = root->count;
    return 0;
}

static int echo_request(struct call *call)
{
    struct echo *echo = call->method_state;

    call_write_message(call, echo->text, echo->count);
    call_end(call);
    return 0;
}

static int wait_request(struct call *call)
{
    struct toy *toy = call->service;

    call_hold(call);
    toy->waiting = call;
    return 0;
}

static void wait_cancel(struct call *call)
{
    struct toy *toy = call->service;

    toy->cancelled++;
}

static void wait_fini(struct call *call)
{
    struct toy *toy = call->service;

    toy->finished++;
}

struct count {
    uint32_t messages;
};

static int count_message(struct call *call)
{
    struct count *count = call->method_state;

    count->messages++;
    return 0;
}

static int count_request(struct call *call)
{
    const struct count *count = call->method_state;
    uint8_t reply = (uint8_t)count->messages;

    call_write_message(call, &reply, 1);
    call_end(call);
    return 0;
}

static const struct scan_field no_blobs[] = {{0}};

static const struct method echo_method = {
    .path = "/demo.Toy/Echo",
    .scan = no_blobs,
    .state_bytes = sizeof(struct echo),
    .message = echo_message,
    .request = echo_request,
};

static const struct method wait_method = {
    .path = "/demo.Toy/Wait",
    .scan = no_blobs,
    .request = wait_request,
    .cancel = wait_cancel,
    .fini = wait_fini,
};

static const struct method count_method = {
    .path = "/demo.Toy/Count",
    .streaming = true,
    .scan = no_blobs,
    .state_bytes = sizeof(struct count),
    .message = count_message,
    .request = count_request,
};

static const struct method *const methods[] = {&echo_method, &wait_method, &count_method};

/* ---- fixture ----------------------------------------------------------------------- */

/* Where it is closed, lets no one call Wait without a token. Remembers what it was
 * asked. */
struct gate {
    bool closed;
    unsigned asked;
    const struct method *method;
    const struct peer *peer;
};

struct fixture {
    struct server server;
    struct toy toy;
    struct gate gate;
};

static void observe(void *service)
{
    struct toy *toy = service;

    toy->observed++;
}

static int authorize(void *arg, const struct method *method, const struct peer *peer,
                     const char *authorization, char *caller, struct failure *failure)
{
    struct gate *gate = arg;

    strcpy(caller, "someone");
    gate->asked++;
    gate->method = method;
    gate->peer = peer;
    if (gate->closed && method == &wait_method && !authorization)
        return fail(failure, TRIT_UNAUTHENTICATED, NULL, "no token for Wait");
    return 0;
}

static const struct peer peer = {.address = "192.0.2.1:7"};

static void fixture_open(struct fixture *f)
{
    const struct grpc_config config = {
        .methods = methods,
        .method_count = sizeof(methods) / sizeof(methods[0]),
        .service = &f->toy,
        .observe = observe,
        .authorize = authorize,
        .authorize_arg = &f->gate,
    };

    *f = (struct fixture){.gate = {.closed = false}};
    server_open_as(&f->server, config, &peer);
}

/* ---- cases ------------------------------------------------------------------------- */

/* A field 1 of bytes, "hello": what the scanner lets through unchanged. */
static const char hello[] = "\x0a\x05hello";

/* A unary method gets its message and answers with one. */
CASE(echoes, "a unary method gets its message and answers with one")
{
    struct fixture f;
    struct exchange exchange;
    size_t count;
    const uint8_t *message;

    fixture_open(&f);
    server_start(&f.server, &exchange, "/demo.Toy/Echo", hello, NULL);
    exchange_finish(&exchange);
    message = exchange_message(&exchange, 0, &count);
    CHECK_STR(exchange.http, "200");
    CHECK_EQ(exchange.status, TRIT_OK);
    CHECK_EQ(count, strlen(hello));
    CHECK_MEM(message, hello, count);
    CHECK_EQ(f.toy.observed, 2); /* begun and ended */
    exchange_free(&exchange);
    server_close(&f.server);
}

/* A method's refusal is the call's status and message. */
CASE(refuses, "an error of the method becomes the call's status and message")
{
    char text[103];
    struct fixture f;
    struct exchange exchange;

    memset(text, 'x', sizeof(text) - 1);
    text[0] = '\x0a';
    text[1] = 100;
    text[102] = '\0';
    fixture_open(&f);
    server_start(&f.server, &exchange, "/demo.Toy/Echo", text, NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_INVALID_ARGUMENT);
    CHECK_STR(exchange.message, "text: 102 bytes, at most 64 are echoed");
    exchange_free(&exchange);
    server_close(&f.server);
}

CASE(gate, "a request is authorized once, before its call; a refusal is counted")
{
    struct fixture f;
    struct exchange exchange;

    fixture_open(&f);
    f.gate.closed = true;
    server_start(&f.server, &exchange, "/demo.Toy/Wait", hello, NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_UNAUTHENTICATED);
    CHECK_STR(exchange.message, "no token for Wait");
    CHECK_EQ(f.gate.asked, 1);
    CHECK(f.gate.method == &wait_method && f.gate.peer == &peer);
    CHECK_EQ(f.toy.observed, 0); /* there was no call */
    CHECK(!f.toy.waiting);
    CHECK_EQ(server_metric(&f.server, "tritd_rpc_handled_total{method=\"/demo.Toy/Wait\","
                                      "code=\"UNAUTHENTICATED\"}"),
             1);
    exchange_free(&exchange);
    server_start(&f.server, &exchange, "/demo.Toy/Echo", hello, NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_OK);
    CHECK_EQ(f.gate.asked, 2);
    exchange_free(&exchange);
    server_start(&f.server, &exchange, "/demo.Toy/Nothing", hello, NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_UNIMPLEMENTED);
    CHECK_EQ(f.gate.asked, 2);
    CHECK_EQ(server_metric(&f.server, "tritd_rpc_handled_total{method=\"unknown\","
                                      "code=\"UNIMPLEMENTED\"}"),
             1);
    exchange_free(&exchange);
    server_close(&f.server);
}

/* A path that no method has is UNIMPLEMENTED and names the path. */
CASE(unknown_path, "an unknown path is UNIMPLEMENTED")
{
    struct fixture f;
    struct exchange exchange;

    fixture_open(&f);
    server_start(&f.server, &exchange, "/demo.Toy/Nothing", hello, NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_UNIMPLEMENTED);
    CHECK_STR(exchange.message, "/demo.Toy/Nothing: no such method");
    exchange_free(&exchange);
    server_close(&f.server);
}

/* A streaming method gets each message of its request; a unary one refuses a second. */
CASE(many_messages, "a streaming method gets each message of its request")
{
    static const char *const texts[] = {hello, hello, hello};
    struct fixture f;
    struct exchange exchange;
    struct request request = request_of(texts, 3);
    size_t count;

    fixture_open(&f);
    exchange_begin(f.server.connection, &exchange, "/demo.Toy/Count", &request, 2, false,
                   NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_OK);
    CHECK_EQ(exchange_message(&exchange, 0, &count)[0], 3);
    exchange_free(&exchange);
    exchange_begin(f.server.connection, &exchange, "/demo.Toy/Echo", &request, 0, false,
                   NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_UNIMPLEMENTED);
    exchange_free(&exchange);
    request_free(&request);
    server_close(&f.server);
}

/* A call whose deadline passes ends with DEADLINE_EXCEEDED and is cancelled once; it is
 * freed when the service lets go of it. */
CASE(deadline, "a deadline cancels a call, which is freed when its owner releases it")
{
    struct fixture f;
    struct exchange exchange;

    fixture_open(&f);
    server_start(&f.server, &exchange, "/demo.Toy/Wait", hello, "20m");
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_DEADLINE_EXCEEDED);
    CHECK_EQ(f.toy.cancelled, 1);
    CHECK_EQ(f.toy.finished, 0);
    CHECK(atomic_load(&f.toy.waiting->cancelled));
    call_release(f.toy.waiting);
    CHECK_EQ(f.toy.finished, 1);
    exchange_free(&exchange);
    server_close(&f.server);
}

/* A call whose connection is lost lives on until the service lets go of it. */
CASE(lost_connection,
     "a call whose connection is lost is freed when its owner releases it")
{
    struct fixture f;
    struct exchange exchange;

    fixture_open(&f);
    server_start(&f.server, &exchange, "/demo.Toy/Wait", hello, NULL);
    CHECK(f.toy.waiting);
    h2_destroy(f.server.session);
    f.server.session = NULL;
    CHECK_EQ(f.toy.waiting->state, CALL_CLOSED);
    CHECK_EQ(f.toy.cancelled, 1);
    CHECK_EQ(f.toy.finished, 0);
    call_release(f.toy.waiting);
    CHECK_EQ(f.toy.finished, 1);
    exchange_free(&exchange);
    server_close(&f.server);
}

/* Draining is a word for health services to tell; calls are still served. */
CASE(draining, "draining is reported, and calls are still served")
{
    struct fixture f;
    struct exchange exchange;

    fixture_open(&f);
    CHECK(!grpc_draining(f.server.grpc));
    grpc_drain(f.server.grpc);
    CHECK(grpc_draining(f.server.grpc));
    server_start(&f.server, &exchange, "/demo.Toy/Echo", hello, NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_OK);
    exchange_free(&exchange);
    server_close(&f.server);
}

/* A message above message_bytes_max is refused before its bytes are taken. */
CASE(too_large, "a message above the limit is refused")
{
    struct fixture f;
    struct exchange exchange;

    fixture_open(&f);
    f.server.limits.message_bytes_max = 4;
    server_start(&f.server, &exchange, "/demo.Toy/Echo", hello, NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK(strstr(exchange.message, "message_bytes_max is 4"));
    exchange_free(&exchange);
    server_close(&f.server);
}

CASE(call_moves, "a call moves only forwards, and no state follows closed")
{
    check_moves(&call_states,
                "receiving>working receiving>ended receiving>closed working>ended "
                "working>closed ended>closed");
}
