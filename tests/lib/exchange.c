/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/exchange.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h2/session.h"
#include "proto/framing.h"
#include "tests/lib/check.h"
#include "tests/lib/loop.h"

enum { EXCHANGES_MAX = 64, REQUEST_FIELDS_MAX = 16, ROUNDS_MAX = 1 << 20 };

struct connection {
    struct h2_session *server;
    struct uv_loop_s *loop;
    nghttp2_session *client;
    struct exchange *exchanges[EXCHANGES_MAX];
    const struct request_field *fields;
    size_t field_count;
    bool hold;
    bool broken; /* beyond repair, as under failing memory */
};

/* ---- the client's session ------------------------------------------------------- */

static struct exchange *exchange_of(struct connection *connection, int32_t id)
{
    for (size_t i = 0; i < EXCHANGES_MAX; i++)
        if (connection->exchanges[i] && connection->exchanges[i]->id == id)
            return connection->exchanges[i];
    return NULL;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len,
                     uint8_t flags, void *user)
{
    struct exchange *exchange = exchange_of(user, frame->hd.stream_id);
    char text[2048] = "";

    (void)ng, (void)flags;
    if (!exchange || value_len >= sizeof(text))
        return 0;
    memcpy(text, value, value_len);
    snprintf(exchange->fields + strlen(exchange->fields),
             sizeof(exchange->fields) - strlen(exchange->fields), "%.*s: %s\n",
             (int)name_len, (const char *)name, text);
    if (name_len == 7 && memcmp(name, ":status", 7) == 0)
        memcpy(exchange->http, text, 4);
    if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
        exchange->status = atoi(text);
    if (name_len == 12 && memcmp(name, "grpc-message", 12) == 0)
        message_unescape(text, exchange->message, sizeof(exchange->message));
    return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t count, void *user)
{
    struct exchange *exchange = exchange_of(user, id);
    uint8_t *grown;

    (void)ng, (void)flags;
    if (!exchange)
        return 0;
    grown = realloc(exchange->body, exchange->body_count + count);
    if (!grown)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    exchange->body = grown;
    memcpy(exchange->body + exchange->body_count, bytes, count);
    exchange->body_count += count;
    return 0;
}

static int on_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct exchange *exchange = exchange_of(user, id);

    (void)ng, (void)code;
    if (exchange)
        exchange->closed = true;
    return 0;
}

static ssize_t upload(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t bytes_max,
                      uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct exchange *exchange = exchange_of(user, id);
    size_t part = bytes_max;

    (void)ng, (void)source;
    part = exchange->cut && exchange->cut < part ? exchange->cut : part;
    part = exchange->left < part ? exchange->left : part;
    if (part == 0 && exchange->keep_open)
        return NGHTTP2_ERR_DEFERRED;
    if (part > 0)
        memcpy(buffer, exchange->bytes, part);
    exchange->bytes += part;
    exchange->left -= part;
    if (exchange->left == 0 && !exchange->keep_open)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)part;
}

static nghttp2_session *client_create(struct connection *connection)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *client;

    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    CHECK(nghttp2_session_client_new(&client, callbacks, connection) == 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, NULL, 0);
    return client;
}

/* ---- bytes between the two --------------------------------------------------------- */

static bool to_server(struct connection *connection)
{
    const uint8_t *bytes;
    ssize_t count = nghttp2_session_mem_send(connection->client, &bytes);
    struct failure failure = {.status = TRIT_OK};

    CHECK(count >= 0);
    if (count > 0 && h2_receive(connection->server, bytes, (size_t)count, &failure) < 0)
        connection->broken = true;
    return count > 0;
}

static bool to_client(struct connection *connection)
{
    struct failure failure = {.status = TRIT_OK};
    struct iovec iov[64];
    size_t count = 64;

    if (h2_produce(connection->server, iov, &count, &failure) < 0) {
        connection->broken = true;
        return false;
    }
    for (size_t i = 0; i < count && !connection->broken; i++)
        connection->broken =
            nghttp2_session_mem_recv(connection->client, iov[i].iov_base,
                                     iov[i].iov_len) != (ssize_t)iov[i].iov_len;
    if (count > 0)
        h2_produced(connection->server);
    connection->broken |= h2_over(connection->server); /* a socket would be closed now */
    return count > 0;
}

void connection_pump(struct connection *connection)
{
    for (unsigned i = 0; i < ROUNDS_MAX; i++) {
        bool moved = !connection->broken && to_server(connection);

        moved |= !connection->broken && !connection->hold && to_client(connection);
        if (!moved && !connection->broken && !connection->hold &&
            h2_has_uploads_to_stop(connection->server)) {
            h2_stop_uploads(connection->server);
            moved = true;
        }
        if (!moved)
            return;
    }
    check_failed(__FILE__, __LINE__, "the sessions talk for ever");
}

static bool is_closed(void *arg)
{
    struct exchange *exchange = arg;

    connection_pump(exchange->connection);
    return exchange->closed || exchange->connection->broken;
}

static bool is_uploaded(void *arg)
{
    struct exchange *exchange = arg;

    connection_pump(exchange->connection);
    return exchange->left == 0 || exchange->closed;
}

struct connection *connection_create(struct h2_session *server, struct uv_loop_s *loop)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    CHECK(connection);
    connection->server = server;
    connection->loop = loop;
    connection->client = client_create(connection);
    return connection;
}

void connection_destroy(struct connection *connection)
{
    nghttp2_session_del(connection->client);
    free(connection);
}

bool connection_broken(const struct connection *connection)
{
    return connection->broken;
}

/* ---- requests and replies ---------------------------------------------------------- */

void request_put(struct request *request, const void *bytes, size_t count)
{
    if (request->capacity - request->count < count) {
        request->capacity = (request->capacity + count) * 2;
        request->bytes = realloc(request->bytes, request->capacity);
        CHECK(request->bytes);
    }
    if (count > 0)
        memcpy(request->bytes + request->count, bytes, count);
    request->count += count;
}

void request_message(struct request *request, const void *head, size_t head_count,
                     const void *data, size_t data_count)
{
    uint8_t prefix[GRPC_PREFIX_BYTES];

    frame_prefix(prefix, (uint32_t)(head_count + data_count));
    request_put(request, prefix, sizeof(prefix));
    request_put(request, head, head_count);
    request_put(request, data, data_count);
}

void request_free(struct request *request)
{
    free(request->bytes);
    *request = (struct request){0};
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

void exchange_begin(struct connection *connection, struct exchange *exchange,
                    const char *path, const struct request *request, size_t cut,
                    bool keep_open, const char *timeout)
{
    nghttp2_nv fields[] = {field(":method", "POST"),
                           field(":scheme", "http"),
                           field(":path", path),
                           field(":authority", "test"),
                           field("te", "trailers"),
                           field("content-type", "application/grpc"),
                           field("grpc-timeout", timeout ? timeout : "")};
    nghttp2_nv all[7 + REQUEST_FIELDS_MAX];
    size_t count = timeout ? 7 : 6;
    nghttp2_data_provider body = {.read_callback = upload};

    *exchange = (struct exchange){.connection = connection,
                                  .bytes = request->bytes,
                                  .left = request->count,
                                  .cut = cut,
                                  .keep_open = keep_open,
                                  .status = -1};
    memcpy(all, fields, count * sizeof(fields[0]));
    for (size_t i = 0; i < connection->field_count; i++)
        all[count++] = field(connection->fields[i].name, connection->fields[i].value);
    for (size_t i = 0; i < EXCHANGES_MAX; i++) {
        if (!connection->exchanges[i]) {
            connection->exchanges[i] = exchange;
            exchange->id =
                nghttp2_submit_request(connection->client, NULL, all, count, &body, NULL);
            CHECK(exchange->id > 0);
            return;
        }
    }
    check_failed(__FILE__, __LINE__, "too many concurrent exchanges");
}

void exchange_cancel(struct exchange *exchange)
{
    nghttp2_submit_rst_stream(exchange->connection->client, NGHTTP2_FLAG_NONE,
                              exchange->id, NGHTTP2_CANCEL);
    connection_pump(exchange->connection);
}

void exchange_finish(struct exchange *exchange)
{
    loop_run_until(exchange->connection->loop, is_closed, exchange);
}

void exchange_upload(struct exchange *exchange)
{
    loop_run_until(exchange->connection->loop, is_uploaded, exchange);
}

struct awaited {
    struct exchange *exchange;
    size_t index;
};

static bool has_message(void *arg)
{
    struct awaited *awaited = arg;
    size_t count;

    connection_pump(awaited->exchange->connection);
    return awaited->exchange->closed ||
           exchange_message(awaited->exchange, awaited->index, &count);
}

void exchange_await(struct exchange *exchange, size_t index)
{
    struct awaited awaited = {exchange, index};

    loop_run_until(exchange->connection->loop, has_message, &awaited);
}

void exchange_free(struct exchange *exchange)
{
    for (size_t i = 0; i < EXCHANGES_MAX; i++)
        if (exchange->connection->exchanges[i] == exchange)
            exchange->connection->exchanges[i] = NULL;
    free(exchange->body);
    exchange->body = NULL;
}

void connection_fields(struct connection *connection, const struct request_field *fields,
                       size_t count)
{
    CHECK(count <= REQUEST_FIELDS_MAX);
    connection->fields = fields;
    connection->field_count = count;
}

void connection_hold(struct connection *connection, bool hold)
{
    connection->hold = hold;
}

bool exchange_has(const struct exchange *exchange, const char *wanted)
{
    size_t length = strlen(wanted);
    const char *at = exchange->fields;

    while (*at) {
        const char *end = strchr(at, '\n');

        if ((size_t)(end - at) == length && memcmp(at, wanted, length) == 0)
            return true;
        at = end + 1;
    }
    return false;
}

bool exchange_compressed(const struct exchange *exchange, size_t index)
{
    size_t count;
    const uint8_t *message = exchange_message(exchange, index, &count);

    CHECK(message);
    return message[-GRPC_PREFIX_BYTES] == 1;
}

const uint8_t *exchange_message(const struct exchange *exchange, size_t index,
                                size_t *count)
{
    size_t at = 0;

    while (at + GRPC_PREFIX_BYTES <= exchange->body_count) {
        const uint8_t *prefix = exchange->body + at;
        size_t length = (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 |
                        (size_t)prefix[3] << 8 | prefix[4];

        at += GRPC_PREFIX_BYTES;
        if (at + length > exchange->body_count)
            return NULL;
        if (index-- == 0) {
            *count = length;
            return exchange->body + at;
        }
        at += length;
    }
    return NULL;
}
