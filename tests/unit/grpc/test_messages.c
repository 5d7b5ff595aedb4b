/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed messages, and streams whose peer does not read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "grpc/call.h"
#include "proto/framing.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/grpc_server.h"

/* ---- a service ---------------------------------------------------------------------- */

enum { BLOB = 1 };
static const struct scan_field blob_table[] = {{15, BLOB, NULL}, {0}};
static const struct scan_field no_blobs[] = {{0}};

struct toy {
    uint64_t blob_bytes, blob_length;
    size_t messages, largest_piece, ended;
    bool wrong;
    enum call_compress compress;
    size_t reply_bytes; /* of each message */
    size_t to_write;    /* messages that Source still has */
    size_t queued_max;
    struct call *call;
};

static int blob_begin(struct call *call, uint32_t blob, uint64_t length)
{
    struct toy *toy = call->service;

    (void)blob;
    toy->blob_length = length;
    return 0;
}

static int blob_bytes(struct call *call, uint32_t blob, const uint8_t *bytes,
                      size_t count)
{
    struct toy *toy = call->service;

    (void)blob;
    for (size_t i = 0; i < count; i++)
        toy->wrong |= bytes[i] != 'z';
    toy->blob_bytes += count;
    if (count > toy->largest_piece)
        toy->largest_piece = count;
    return 0;
}

static int blob_end(struct call *call, uint32_t blob)
{
    (void)call, (void)blob;
    return 0;
}

static int reply(struct call *call)
{
    static const char bytes[10000];
    struct toy *toy = call->service;

    call->compress = toy->compress;
    int result = call_write_message(call, bytes, toy->reply_bytes);

    if (call->stream && h2_stream_queued(call->stream) > toy->queued_max)
        toy->queued_max = h2_stream_queued(call->stream);
    return result;
}

static int one_request(struct call *call)
{
    if (reply(call) < 0)
        return -1;
    call_end(call);
    return 0;
}

static int echo_message(struct call *call)
{
    struct toy *toy = call->service;

    toy->messages++;
    return reply(call);
}

static int echo_end(struct call *call)
{
    struct toy *toy = call->service;

    toy->ended++;
    call_end(call);
    return 0;
}

static int source_more(struct call *call)
{
    struct toy *toy = call->service;

    while (toy->to_write > 0 && call_writable(call)) {
        toy->to_write--;
        if (reply(call) < 0)
            return -1;
    }
    if (toy->to_write == 0)
        call_end(call);
    return 0;
}

static const struct method one_method = {
    .path = "/demo.Bulk/One",
    .scan = blob_table,
    .blob_begin = blob_begin,
    .blob_bytes = blob_bytes,
    .blob_end = blob_end,
    .request = one_request,
};
static const struct method echo_method = {
    .path = "/demo.Bulk/Echo",
    .streaming = true,
    .scan = no_blobs,
    .message = echo_message,
    .request = echo_end,
};
static const struct method source_method = {
    .path = "/demo.Bulk/Source",
    .scan = no_blobs,
    .request = source_more,
    .writable = source_more,
};
static const struct method *const methods[] = {&one_method, &echo_method, &source_method};

static void bulk_open(struct server *server, struct toy *toy)
{
    server_open(server, methods, 3, toy, NULL);
}

/* ---- compressed requests -------------------------------------------------------------- */

/* A message with a blob of `count` bytes. */
static uint8_t *blob_message(size_t count, size_t *bytes)
{
    uint8_t *message = malloc(count + 8);
    size_t at = 0;

    CHECK(message);
    message[at++] = 15 << 3 | 2;
    for (size_t left = count; left || at == 1; left >>= 7)
        message[at++] = (uint8_t)((left & 127) | (left > 127 ? 128 : 0));
    memset(message + at, 'z', count);
    *bytes = at + count;
    return message;
}

static size_t zip(const void *bytes, size_t count, bool gzip, uint8_t *out,
                  size_t capacity)
{
    z_stream stream = {0};

    CHECK_EQ(deflateInit2(&stream, 6, Z_DEFLATED, gzip ? 31 : 15, 8, 0), Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)bytes;
    stream.avail_in = (unsigned)count;
    stream.next_out = out;
    stream.avail_out = (unsigned)capacity;
    CHECK_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return capacity - stream.avail_out;
}

static void put_compressed(struct request *request, const uint8_t *bytes, size_t count)
{
    size_t at = request->count;

    request_message(request, bytes, count, NULL, 0);
    request->bytes[at] = 1;
}

/* Sends a blob of `count` bytes; the last `cut` compressed bytes are missing. */
static void send_zipped(const char *coding, size_t count, size_t cut, size_t step,
                        struct toy *toy, struct exchange *exchange, uint64_t limit)
{
    const struct request_field field = {"grpc-encoding", coding};
    struct server server;
    struct request request = {0};
    size_t plain_count, packed;
    uint8_t *plain = blob_message(count, &plain_count);
    uint8_t *zipped = malloc(count + 1000);

    CHECK(zipped);
    packed = zip(plain, plain_count, strcmp(coding, "gzip") == 0, zipped, count + 1000);
    put_compressed(&request, zipped, packed - cut);
    bulk_open(&server, toy);
    if (limit)
        server.limits.message_bytes_max = limit;
    connection_fields(server.connection, &field, 1);
    exchange_begin(server.connection, exchange, "/demo.Bulk/One", &request, step, false,
                   NULL);
    exchange_finish(exchange);
    exchange_free(exchange);
    server_close(&server);
    request_free(&request);
    free(plain);
    free(zipped);
}

CASE(inflated, "gzip and deflate requests are decompressed, however they are cut")
{
    static const size_t sizes[] = {0, 1, 1000, 100000, 5000000};

    for (size_t i = 0; i < 5; i++)
        for (unsigned mode = 0; mode < 4; mode++) {
            struct toy toy = {0};
            struct exchange exchange;

            send_zipped(mode & 1 ? "gzip" : "deflate", sizes[i], 0, mode & 2 ? 7 : 0,
                        &toy, &exchange, 0);
            CHECK_EQ(exchange.status, TRIT_OK);
            CHECK_EQ(toy.blob_bytes, sizes[i]);
            CHECK_EQ(toy.blob_length, sizes[i]);
            CHECK(!toy.wrong && toy.largest_piece <= 16384);
        }
}

CASE(bomb, "a message that decompresses to more than the limit is refused at the limit")
{
    struct toy toy = {0};
    struct exchange exchange;

    send_zipped("gzip", 5000000, 0, 0, &toy, &exchange, 100000);
    CHECK_EQ(exchange.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK(strstr(exchange.message, "message_bytes_max is 100000"));
    CHECK(toy.blob_bytes <= 100000);
}

CASE(truncated, "compressed data that are cut or damaged are INTERNAL")
{
    struct toy toy = {0};
    struct exchange exchange;

    send_zipped("gzip", 1000, 9, 0, &toy, &exchange, 0);
    CHECK_EQ(exchange.status, TRIT_INTERNAL);
    CHECK_STR(exchange.message, "message 1 is cut inside its gzip data");
    send_zipped("deflate", 1000, 1, 0, &toy, &exchange, 0);
    CHECK_EQ(exchange.status, TRIT_INTERNAL);
}

/* One request with these bytes as a compressed message. */
static int status_of(const char *coding, const void *bytes, size_t count, uint8_t flag,
                     struct toy *toy)
{
    const struct request_field field = {"grpc-encoding", coding};
    struct server server;
    struct exchange exchange;
    struct request request = {0};

    put_compressed(&request, bytes, count);
    request.bytes[0] = flag;
    bulk_open(&server, toy);
    connection_fields(server.connection, &field, coding ? 1 : 0);
    exchange_begin(server.connection, &exchange, "/demo.Bulk/One", &request, 0, false,
                   NULL);
    exchange_finish(&exchange);
    exchange_free(&exchange);
    server_close(&server);
    request_free(&request);
    return exchange.status;
}

CASE(flags, "a flag without an encoding and reserved flags are INTERNAL")
{
    struct toy toy = {0};

    CHECK_EQ(status_of(NULL, "\x0a\x01x", 3, 1, &toy), TRIT_INTERNAL);
    CHECK_EQ(status_of("identity", "\x0a\x01x", 3, 1, &toy), TRIT_INTERNAL);
    CHECK_EQ(status_of("gzip", "\x0a\x01x", 3, 1, &toy), TRIT_INTERNAL);
    CHECK_EQ(status_of("gzip", "\x0a\x01x", 3, 2, &toy), TRIT_INTERNAL);
    CHECK_EQ(status_of("gzip", "\x0a\x01x", 3, 0, &toy), TRIT_OK);
    CHECK_EQ(status_of("gzip", "", 0, 1, &toy), TRIT_OK); /* empty is empty */
}

CASE(members,
     "several gzip members are one message; bytes after a deflate stream are not")
{
    struct toy toy = {0};
    size_t plain_count, used;
    uint8_t *plain = blob_message(1000, &plain_count), zipped[4000];

    used = zip(plain, 500, true, zipped, sizeof(zipped));
    used += zip(plain + 500, plain_count - 500, true, zipped + used, 2000);
    CHECK_EQ(status_of("gzip", zipped, used, 1, &toy), TRIT_OK);
    CHECK_EQ(toy.blob_bytes, 1000);
    used = zip(plain, plain_count, false, zipped, sizeof(zipped));
    CHECK_EQ(status_of("deflate", zipped, used + 1, 1, &toy), TRIT_INTERNAL);
    free(plain);
}

CASE(field_past_end, "a field that the decompressed message does not fill is refused")
{
    struct toy toy = {0};
    uint8_t zipped[100];
    size_t used = zip("\x7a\x7fzzz", 5, true, zipped, sizeof(zipped));

    CHECK_EQ(status_of("gzip", zipped, used, 1, &toy), TRIT_INVALID_ARGUMENT);
}

CASE(turns, "a call that decompresses much lets other calls have their turn")
{
    static const struct request_field field = {"grpc-encoding", "gzip"};
    enum { LARGE = 64 << 20 };
    struct toy toy = {0};
    struct server server;
    struct exchange slow, quick;
    struct request request = {0}, small = {0};
    size_t plain_count;
    uint8_t *plain = blob_message(LARGE, &plain_count), *zipped = malloc(LARGE);

    CHECK(zipped);
    put_compressed(&request, zipped, zip(plain, plain_count, true, zipped, LARGE));
    request_message(&small, "\x0a\x01x", 3, NULL, 0);
    bulk_open(&server, &toy);
    connection_fields(server.connection, &field, 1);
    exchange_begin(server.connection, &slow, "/demo.Bulk/One", &request, 0, false, NULL);
    exchange_upload(&slow);
    exchange_begin(server.connection, &quick, "/demo.Bulk/Source", &small, 0, false,
                   NULL);
    exchange_finish(&quick);
    CHECK(!slow.closed && toy.blob_bytes < LARGE);
    exchange_finish(&slow);
    CHECK_EQ(slow.status, TRIT_OK);
    CHECK_EQ(toy.blob_bytes, LARGE);
    CHECK(!toy.wrong);
    exchange_free(&slow);
    exchange_free(&quick);
    server_close(&server);
    request_free(&request);
    request_free(&small);
    free(plain);
    free(zipped);
}

/* ---- compressed replies ---------------------------------------------------------------- */

static void check_reply(const char *accepts, size_t bytes, enum call_compress compress,
                        const char *coding)
{
    const struct request_field field = {"grpc-accept-encoding", accepts};
    struct toy toy = {.reply_bytes = bytes, .compress = compress};
    struct server server;
    struct exchange exchange;
    size_t count;
    char line[64];
    uint8_t *plain = calloc(1, bytes + 1);

    bulk_open(&server, &toy);
    connection_fields(server.connection, &field, accepts ? 1 : 0);
    server_start(&server, &exchange, "/demo.Bulk/One", "\x0a\x01x", NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_OK);
    const uint8_t *message = exchange_message(&exchange, 0, &count);

    CHECK(plain && message);
    snprintf(line, sizeof(line), "grpc-encoding: %s", coding ? coding : "gzip");
    CHECK_EQ(exchange_has(&exchange, line), coding != NULL);
    CHECK_EQ(exchange_compressed(&exchange, 0), coding != NULL);
    if (coding) {
        z_stream stream = {.next_in = (Bytef *)(uintptr_t)message,
                           .avail_in = (unsigned)count,
                           .next_out = plain,
                           .avail_out = (unsigned)bytes + 1};

        CHECK_EQ(inflateInit2(&stream, strcmp(coding, "gzip") == 0 ? 31 : 15), Z_OK);
        CHECK_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
        CHECK_EQ(stream.total_out, bytes);
        inflateEnd(&stream);
    } else {
        CHECK_EQ(count, bytes);
    }
    free(plain);
    exchange_free(&exchange);
    server_close(&server);
}

CASE(deflated, "a reply is compressed if it is large and its client accepts a coding")
{
    check_reply("identity, deflate, gzip", 5000, COMPRESS_AUTO, "gzip");
    check_reply("deflate", 5000, COMPRESS_AUTO, "deflate");
    check_reply("br,deflate;q=1,gzip", 5000, COMPRESS_AUTO, "gzip");
    check_reply("identity", 5000, COMPRESS_AUTO, NULL);
    check_reply("br, snappy", 5000, COMPRESS_AUTO, NULL);
    check_reply("", 5000, COMPRESS_AUTO, NULL);
    check_reply(NULL, 5000, COMPRESS_AUTO, NULL);
    check_reply("gzip", 500, COMPRESS_AUTO, NULL);
    check_reply("gzip", 500, COMPRESS_ALWAYS, "gzip");
    check_reply("gzip", 0, COMPRESS_ALWAYS, "gzip");
    check_reply("gzip", 5000, COMPRESS_NEVER, NULL);
}

/* ---- peers that do not read -------------------------------------------------------------- */

CASE(source, "a method that writes many messages waits for a peer that does not read")
{
    struct toy toy = {.reply_bytes = 10000, .to_write = 200};
    struct server server;
    struct exchange exchange;
    size_t count;

    bulk_open(&server, &toy);
    connection_hold(server.connection, true);
    server_start(&server, &exchange, "/demo.Bulk/Source", "\x0a\x01x", NULL);
    CHECK(toy.to_write > 150);
    CHECK(toy.queued_max < REPLY_QUEUE_BYTES_MAX + 20000);
    connection_hold(server.connection, false);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_OK);
    CHECK_EQ(toy.to_write, 0);
    CHECK(toy.queued_max < REPLY_QUEUE_BYTES_MAX + 20000);
    CHECK(exchange_message(&exchange, 199, &count) && count == 10000);
    exchange_free(&exchange);
    server_close(&server);
}

CASE(echo_flow, "a bidirectional call reads no more than its peer reads of the replies")
{
    enum { MESSAGES = 200 };
    struct toy toy = {.reply_bytes = 10000};
    struct server server;
    struct exchange exchange;
    struct request request = {0};
    size_t count;

    for (size_t i = 0; i < MESSAGES; i++)
        request_message(&request, "\x0a\x01x", 3, NULL, 0);
    bulk_open(&server, &toy);
    connection_hold(server.connection, true);
    exchange_begin(server.connection, &exchange, "/demo.Bulk/Echo", &request, 0, false,
                   NULL);
    exchange_upload(&exchange);
    CHECK(toy.messages < 100);
    CHECK_EQ(toy.ended, 0); /* END_STREAM waits behind the held messages */
    connection_hold(server.connection, false);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_OK);
    CHECK_EQ(toy.messages, MESSAGES);
    CHECK_EQ(toy.ended, 1);
    CHECK(toy.queued_max < REPLY_QUEUE_BYTES_MAX + 20000);
    CHECK(exchange_message(&exchange, MESSAGES - 1, &count));
    exchange_free(&exchange);
    server_close(&server);
    request_free(&request);
}

CASE(echo_lost, "a call with held bytes and waiting replies ends with its connection")
{
    struct toy toy = {.reply_bytes = 10000};
    struct server server;
    struct exchange exchange;
    struct request request = {0};

    for (size_t i = 0; i < 1000; i++)
        request_message(&request, "\x0a\x01x", 3, NULL, 0);
    bulk_open(&server, &toy);
    connection_hold(server.connection, true);
    exchange_begin(server.connection, &exchange, "/demo.Bulk/Echo", &request, 0, false,
                   NULL);
    exchange_upload(&exchange);
    exchange_free(&exchange);
    server_close(&server);
    request_free(&request);
}

CASE(memory, "any one allocation of a compressed call may fail: it ends with a status")
{
    static const struct request_field fields[] = {{"grpc-encoding", "gzip"},
                                                  {"grpc-accept-encoding", "gzip"}};
    size_t plain_count;
    uint8_t *plain = blob_message(1000, &plain_count), zipped[2000];
    struct request request = {0};
    uint64_t refused = 0;

    put_compressed(&request, zipped, zip(plain, plain_count, true, zipped, 2000));
    for (uint64_t n = 1;; n++) {
        struct toy toy = {.reply_bytes = 5000};
        struct server server;
        struct exchange exchange;

        bulk_open(&server, &toy);
        connection_fields(server.connection, fields, 2);
        connection_pump(server.connection);
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        exchange_begin(server.connection, &exchange, "/demo.Bulk/One", &request, 0, false,
                       NULL);
        exchange_finish(&exchange);
        bool failed = fault_disarm();

        refused += exchange.status == TRIT_RESOURCE_EXHAUSTED;
        if (!failed)
            CHECK_EQ(exchange.status, TRIT_OK);
        exchange_free(&exchange);
        server_close(&server);
        if (!failed)
            break;
    }
    CHECK(refused > 0);
    request_free(&request);
    free(plain);
}
