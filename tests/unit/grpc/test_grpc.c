/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC core with a service of its own: nothing of tritd is in here. */
#include <stdlib.h>
#include <string.h>

#include "async/loop.h"
#include "base/peer.h"
#include "grpc/call.h"
#include "obs/metrics.h"
#include "tests/lib/check.h"
#include "tests/lib/exchange.h"
#include "tests/lib/loop.h"
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

struct server {
    struct toy toy;
    struct gate gate;
    struct metrics *metrics;
    struct limits limits;
    struct uv_loop_s *loop;
    struct timers *timers;
    struct grpc *grpc;
    struct h2_session *session;
    struct connection *connection;
    bool idle;
};

static void observe(void *service)
{
    struct toy *toy = service;

    toy->observed++;
}

static int authorize(void *arg, const struct method *method, const struct peer *peer,
                     const char *authorization, struct failure *failure)
{
    struct gate *gate = arg;

    gate->asked++;
    gate->method = method;
    gate->peer = peer;
    if (gate->closed && method == &wait_method && !authorization)
        return fail(failure, TRIT_UNAUTHENTICATED, NULL, "no token for Wait");
    return 0;
}

static const struct peer peer = {.address = "192.0.2.1:7"};

static void wake(void *waker)
{
    (void)waker; /* the test pumps */
}

static void server_open(struct server *server)
{
    static const char *const paths[] = {"/demo.Toy/Echo", "/demo.Toy/Wait",
                                        "/demo.Toy/Count"};
    struct failure failure = {.status = TRIT_OK};
    struct grpc_config config = {
        .limits = &server->limits,
        .methods = methods,
        .method_count = 3,
        .service = &server->toy,
        .observe = observe,
        .authorize = authorize,
        .authorize_arg = &server->gate,
    };

    *server = (struct server){.limits = limits_default()};
    server->metrics = config.metrics = metrics_create(paths, 3, "0", "portable");
    server->loop = loop_create();
    CHECK(timers_create(&server->timers, server->loop, &failure) == 0);
    config.timers = server->timers;
    CHECK(grpc_create(&server->grpc, &config, &failure) == 0);
    server->session =
        h2_create(&server->limits, grpc_events(), server->grpc, &peer, wake, NULL);
    CHECK(server->session);
    server->connection = connection_create(server->session, server->loop);
}

static void idle(void *arg)
{
    *(bool *)arg = true;
}

static void server_close(struct server *server)
{
    if (server->session)
        h2_destroy(server->session);
    connection_destroy(server->connection);
    grpc_on_idle(server->grpc, idle, &server->idle);
    CHECK(server->idle);
    grpc_destroy(server->grpc);
    metrics_destroy(server->metrics);
    timers_close(server->timers);
    loop_destroy(server->loop);
}

/* Messages of a request, each with its text. */
static struct request request_of(const char *const *texts, size_t count)
{
    struct request request = {0};

    for (size_t i = 0; i < count; i++)
        request_message(&request, texts[i], strlen(texts[i]), NULL, 0);
    return request;
}

static void start(struct server *server, struct exchange *exchange, const char *path,
                  const char *text, const char *timeout)
{
    struct request request = request_of(&text, 1);

    exchange_begin(server->connection, exchange, path, &request, 0, false, timeout);
    exchange_upload(exchange);
    request_free(&request);
}

/* ---- cases ------------------------------------------------------------------------- */

/* A field 1 of bytes, "hello": what the scanner lets through unchanged. */
static const char hello[] = "\x0a\x05hello";

/* A unary method gets its message and answers with one. */
CASE(echoes, "a unary method gets its message and answers with one")
{
    struct server server;
    struct exchange exchange;
    size_t count;
    const uint8_t *message;

    server_open(&server);
    start(&server, &exchange, "/demo.Toy/Echo", hello, NULL);
    exchange_finish(&exchange);
    message = exchange_message(&exchange, 0, &count);
    CHECK_STR(exchange.http, "200");
    CHECK_EQ(exchange.status, TRIT_OK);
    CHECK_EQ(count, strlen(hello));
    CHECK_MEM(message, hello, count);
    CHECK_EQ(server.toy.observed, 2); /* begun and ended */
    exchange_free(&exchange);
    server_close(&server);
}

/* A method's refusal is the call's status and message. */
CASE(refuses, "an error of the method becomes the call's status and message")
{
    char text[103];
    struct server server;
    struct exchange exchange;

    memset(text, 'x', sizeof(text) - 1);
    text[0] = '\x0a';
    text[1] = 100;
    text[102] = '\0';
    server_open(&server);
    start(&server, &exchange, "/demo.Toy/Echo", text, NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_INVALID_ARGUMENT);
    CHECK_STR(exchange.message, "text: 102 bytes, at most 64 are echoed");
    exchange_free(&exchange);
    server_close(&server);
}

static bool counted(struct server *server, const char *line)
{
    size_t bytes;
    char *text = metrics_render(server->metrics, false, &bytes);
    bool found = text && strstr(text, line);

    free(text);
    return found;
}

CASE(gate, "a request is authorized once, before its call; a refusal is counted")
{
    struct server server;
    struct exchange exchange;

    server_open(&server);
    server.gate.closed = true;
    start(&server, &exchange, "/demo.Toy/Wait", hello, NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_UNAUTHENTICATED);
    CHECK_STR(exchange.message, "no token for Wait");
    CHECK_EQ(server.gate.asked, 1);
    CHECK(server.gate.method == &wait_method && server.gate.peer == &peer);
    CHECK_EQ(server.toy.observed, 0); /* there was no call */
    CHECK(!server.toy.waiting);
    CHECK(counted(&server, "tritd_rpc_handled_total{method=\"/demo.Toy/Wait\","
                           "code=\"UNAUTHENTICATED\"} 1"));
    exchange_free(&exchange);
    start(&server, &exchange, "/demo.Toy/Echo", hello, NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_OK);
    CHECK_EQ(server.gate.asked, 2);
    exchange_free(&exchange);
    start(&server, &exchange, "/demo.Toy/Nothing", hello, NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_UNIMPLEMENTED);
    CHECK_EQ(server.gate.asked, 2);
    CHECK(counted(&server, "method=\"unknown\",code=\"UNIMPLEMENTED\"} 1"));
    exchange_free(&exchange);
    server_close(&server);
}

/* A path that no method has is UNIMPLEMENTED and names the path. */
CASE(unknown_path, "an unknown path is UNIMPLEMENTED")
{
    struct server server;
    struct exchange exchange;

    server_open(&server);
    start(&server, &exchange, "/demo.Toy/Nothing", hello, NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_UNIMPLEMENTED);
    CHECK_STR(exchange.message, "/demo.Toy/Nothing: no such method");
    exchange_free(&exchange);
    server_close(&server);
}

/* A streaming method gets each message of its request; a unary one refuses a second. */
CASE(many_messages, "a streaming method gets each message of its request")
{
    static const char *const texts[] = {hello, hello, hello};
    struct server server;
    struct exchange exchange;
    struct request request = request_of(texts, 3);
    size_t count;

    server_open(&server);
    exchange_begin(server.connection, &exchange, "/demo.Toy/Count", &request, 2, false,
                   NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_OK);
    CHECK_EQ(exchange_message(&exchange, 0, &count)[0], 3);
    exchange_free(&exchange);
    exchange_begin(server.connection, &exchange, "/demo.Toy/Echo", &request, 0, false,
                   NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_UNIMPLEMENTED);
    exchange_free(&exchange);
    request_free(&request);
    server_close(&server);
}

/* A call whose deadline passes ends with DEADLINE_EXCEEDED and is cancelled once; it is
 * freed when the service lets go of it. */
CASE(deadline, "a deadline cancels a call, which is freed when its owner releases it")
{
    struct server server;
    struct exchange exchange;

    server_open(&server);
    start(&server, &exchange, "/demo.Toy/Wait", hello, "20m");
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_DEADLINE_EXCEEDED);
    CHECK_EQ(server.toy.cancelled, 1);
    CHECK_EQ(server.toy.finished, 0);
    CHECK(atomic_load(&server.toy.waiting->cancelled));
    call_release(server.toy.waiting);
    CHECK_EQ(server.toy.finished, 1);
    exchange_free(&exchange);
    server_close(&server);
}

/* A call whose connection is lost lives on until the service lets go of it. */
CASE(lost_connection,
     "a call whose connection is lost is freed when its owner releases it")
{
    struct server server;
    struct exchange exchange;

    server_open(&server);
    start(&server, &exchange, "/demo.Toy/Wait", hello, NULL);
    CHECK(server.toy.waiting);
    h2_destroy(server.session);
    server.session = NULL;
    CHECK_EQ(server.toy.waiting->state, CALL_CLOSED);
    CHECK_EQ(server.toy.cancelled, 1);
    CHECK_EQ(server.toy.finished, 0);
    call_release(server.toy.waiting);
    CHECK_EQ(server.toy.finished, 1);
    exchange_free(&exchange);
    server_close(&server);
}

/* Draining is a word for health services to tell; calls are still served. */
CASE(draining, "draining is reported, and calls are still served")
{
    struct server server;
    struct exchange exchange;

    server_open(&server);
    CHECK(!grpc_draining(server.grpc));
    grpc_drain(server.grpc);
    CHECK(grpc_draining(server.grpc));
    start(&server, &exchange, "/demo.Toy/Echo", hello, NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_OK);
    exchange_free(&exchange);
    server_close(&server);
}

/* A message above message_bytes_max is refused before its bytes are taken. */
CASE(too_large, "a message above the limit is refused")
{
    struct server server;
    struct exchange exchange;

    server_open(&server);
    server.limits.message_bytes_max = 4;
    start(&server, &exchange, "/demo.Toy/Echo", hello, NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK(strstr(exchange.message, "message_bytes_max is 4"));
    exchange_free(&exchange);
    server_close(&server);
}

CASE(call_moves, "a call moves only forwards, and no state follows closed")
{
    check_moves(&call_states,
                "receiving>working receiving>ended receiving>closed working>ended "
                "working>closed ended>closed");
}
