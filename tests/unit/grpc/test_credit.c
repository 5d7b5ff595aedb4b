/* SPDX-License-Identifier: Apache-2.0 */
/* Which credit a call gives its peer for the bytes that it took. */
#include <stdlib.h>
#include <string.h>

#include "grpc/call.h"
#include "tests/lib/check.h"
#include "tests/lib/grpc_server.h"

enum { BLOB = 1 };
static const struct scan_field blob_table[] = {{15, BLOB, NULL}, {0}};

struct taker {
    struct call *call;
    uint64_t taken;
    uint64_t throttle_at; /* from this many bytes on the call is throttled */
};

static int blob_begin(struct call *call, uint32_t blob, uint64_t length)
{
    struct taker *taker = call->service;

    (void)blob, (void)length;
    taker->call = call;
    return 0;
}

static int blob_bytes(struct call *call, uint32_t blob, const uint8_t *bytes,
                      size_t count)
{
    struct taker *taker = call->service;

    (void)blob, (void)bytes;
    taker->taken += count;
    if (taker->taken >= taker->throttle_at)
        call_throttle(call, THROTTLE_TILES, true);
    return 0;
}

static int blob_end(struct call *call, uint32_t blob)
{
    (void)call, (void)blob;
    return 0;
}

static int answer(struct call *call)
{
    call_end(call);
    return 0;
}

static const struct method take_method = {
    .path = "/demo.Bulk/Take",
    .scan = blob_table,
    .blob_begin = blob_begin,
    .blob_bytes = blob_bytes,
    .blob_end = blob_end,
    .request = answer,
};
static const struct method *const methods[] = {&take_method};

/* One message with a blob of `count` zeros. */
static struct request blob_of(size_t count)
{
    uint8_t head[8] = {15 << 3 | 2}, *zeros = calloc(1, count);
    struct request request = {0};
    size_t at = 1;

    CHECK(zeros);
    for (size_t left = count; left; left >>= 7)
        head[at++] = (uint8_t)((left & 127) | (left > 127 ? 128 : 0));
    request_message(&request, head, at, zeros, count);
    free(zeros);
    return request;
}

/* What the client sends of what it may send. */
static void upload(struct server *server, const struct exchange *exchange, size_t left)
{
    connection_pump(server->connection);
    CHECK_EQ(exchange->left, left);
}

CASE(kept,
     "credit that is kept is given when the method gives up what it has of the bytes")
{
    struct server server;
    struct taker taker = {.throttle_at = 1};
    struct exchange exchange;

    server_open(&server, methods, 1, &taker, NULL);
    const size_t window = (size_t)server.limits.stream_window_bytes;
    struct request request = blob_of(3 * window);

    exchange_begin(server.connection, &exchange, "/demo.Bulk/Take", &request, 0, false,
                   NULL);
    upload(&server, &exchange, request.count - window);

    call_keep_credit(taker.call, 1000);
    call_throttle(taker.call, THROTTLE_TILES, false);
    upload(&server, &exchange, request.count - 2 * window + 1000);

    /* At most half of the window, so that the peer always has some. */
    call_keep_credit(taker.call, UINT64_MAX);
    call_throttle(taker.call, THROTTLE_TILES, false);
    upload(&server, &exchange, request.count - 2 * window + 1000 - window / 2);

    taker.throttle_at = UINT64_MAX;
    call_throttle(taker.call, THROTTLE_TILES, false);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, 0);
    CHECK_EQ(taker.taken, 3 * window);
    exchange_free(&exchange);
    request_free(&request);
    server_close(&server);
}
