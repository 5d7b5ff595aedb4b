/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/h2_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"

enum { BODY_MAX = 4 << 20, PUMP_ROUNDS_MAX = 200000 };

/* A slice that counts its releases. */
struct lent {
    struct h2_slice slice;
    struct pair *pair;
    unsigned released;
};

static void owner_request(void *owner, struct h2_stream *stream,
                          const struct h2_header *headers, size_t count)
{
    struct pair *pair = owner;
    struct call *call = &pair->calls[pair->call_count++];

    CHECK(pair->call_count < CALLS_MAX);
    call->pair = pair;
    call->stream = stream;
    call->header_count = count;
    h2_stream_set_user(stream, call);
    for (size_t i = 0; i < count; i++) {
        CHECK(strlen(headers[i].name) == headers[i].name_len);
        CHECK(strlen(headers[i].value) == headers[i].value_len);
        if (strcmp(headers[i].name, ":path") == 0)
            snprintf(call->path, sizeof(call->path), "%s", headers[i].value);
    }
    if (pair->on_request)
        pair->on_request(call);
}

static void owner_too_large(void *owner, struct h2_stream *stream)
{
    struct pair *pair = owner;
    struct call *call = &pair->calls[pair->call_count++];
    const struct h2_header status = {"grpc-status", "8", 11, 1};

    call->pair = pair;
    call->stream = stream;
    call->too_large = true;
    h2_stream_set_user(stream, call);
    CHECK_EQ(h2_finish(stream, &status, 1), 0);
}

static void owner_data(struct h2_stream *stream, const uint8_t *bytes, size_t count)
{
    struct call *call = h2_stream_user(stream);

    CHECK(!call->ended && call->closed == 0);
    for (size_t i = 0; i < count; i++)
        CHECK(bytes[i] == 'u');
    call->body_bytes += count;
    if (call->pair->credit)
        h2_credit(stream, count);
}

static void owner_end(struct h2_stream *stream)
{
    struct call *call = h2_stream_user(stream);

    CHECK(!call->ended);
    call->ended = true;
}

static void owner_closed(struct h2_stream *stream, uint32_t code)
{
    struct call *call = h2_stream_user(stream);

    call->closed++;
    call->close_code = code;
    call->stream = NULL;
    if (call->pair->on_closed)
        call->pair->on_closed(call);
}

static void owner_wake(void *waker)
{
    ((struct pair *)waker)->wakes++;
}

static void lent_release(struct h2_slice *slice)
{
    struct lent *lent = (struct lent *)(void *)slice;

    lent->released++;
    lent->pair->released++;
    CHECK_EQ(lent->released, 1);
    free(lent);
}

void pair_call_write(struct call *call, size_t count, uint8_t fill)
{
    struct lent *lent = calloc(1, sizeof(*lent) + count);

    CHECK(lent);
    memset(lent + 1, fill, count);
    lent->pair = call->pair;
    lent->slice.bytes = lent + 1;
    lent->slice.count = count;
    lent->slice.release = lent_release;
    call->pair->lent++;
    h2_write(call->stream, &lent->slice);
}

void pair_call_respond(struct call *call)
{
    const struct h2_header type = {"content-type", "application/grpc", 12, 16};

    CHECK_EQ(h2_respond(call->stream, 200, &type, 1), 0);
    call->responded = true;
}

void pair_call_finish(struct call *call)
{
    const struct h2_header status = {"grpc-status", "0", 11, 1};

    CHECK_EQ(h2_finish(call->stream, &status, 1), 0);
    call->finished = true;
}

static struct reply *reply_of(struct pair *pair, int32_t id)
{
    for (size_t i = 0; i < pair->reply_count; i++)
        if (pair->replies[i].id == id)
            return &pair->replies[i];
    return NULL;
}

static int client_header(nghttp2_session *ng, const nghttp2_frame *frame,
                         const uint8_t *name, size_t name_len, const uint8_t *value,
                         size_t value_len, uint8_t flags, void *user)
{
    struct reply *reply = reply_of(user, frame->hd.stream_id);

    (void)ng, (void)flags;
    if (name_len == 7 && memcmp(name, ":status", 7) == 0)
        snprintf(reply->status, sizeof(reply->status), "%.*s", (int)value_len, value);
    if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
        snprintf(reply->grpc_status, sizeof(reply->grpc_status), "%.*s", (int)value_len,
                 value);
    return 0;
}

static int client_data(nghttp2_session *ng, uint8_t flags, int32_t id,
                       const uint8_t *bytes, size_t count, void *user)
{
    struct reply *reply = reply_of(user, id);

    (void)ng, (void)flags;
    if (!reply->body)
        reply->body = malloc(BODY_MAX);
    CHECK(reply->body_bytes + count <= BODY_MAX);
    memcpy(reply->body + reply->body_bytes, bytes, count);
    reply->body_bytes += count;
    return 0;
}

static int client_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct pair *pair = user;
    struct reply *reply = reply_of(pair, frame->hd.stream_id);

    (void)ng;
    if (frame->hd.type == NGHTTP2_DATA)
        reply->data_frames++;
    if (frame->hd.type == NGHTTP2_RST_STREAM && reply)
        reply->reset_code = frame->rst_stream.error_code;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        pair->goaways++;
        pair->goaway_code = frame->goaway.error_code;
        pair->goaway_last = frame->goaway.last_stream_id;
    }
    return 0;
}

static int client_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct reply *reply = reply_of(user, id);

    (void)ng;
    reply->closed = true;
    reply->close_code = code;
    return 0;
}

static ssize_t client_upload(nghttp2_session *ng, int32_t id, uint8_t *buffer,
                             size_t bytes_max, uint32_t *flags,
                             nghttp2_data_source *source, void *user)
{
    struct reply *reply = reply_of(user, id);
    size_t bytes = reply->upload_left < bytes_max ? reply->upload_left : bytes_max;

    (void)ng, (void)source;
    memset(buffer, 'u', bytes);
    reply->upload_left -= bytes;
    if (reply->upload_left == 0 && !reply->upload_open)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    else if (bytes == 0)
        return NGHTTP2_ERR_DEFERRED;
    return (ssize_t)bytes;
}

struct pair *pair_create_with(const struct limits *limits, bool manual)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;

    CHECK(pair);
    pair->limits = *limits;
    pair->events = (struct h2_events){
        .request = owner_request,
        .request_too_large = owner_too_large,
        .data = owner_data,
        .end = owner_end,
        .closed = owner_closed,
    };
    pair->goaway_code = NEVER;
    pair->iovecs = 64;
    pair->credit = true;
    pair->server = h2_create(&pair->limits, &pair->events, pair, NULL, owner_wake, pair);
    CHECK(pair->server);
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, client_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, client_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, client_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, client_close);
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, manual);
    nghttp2_session_client_new2(&pair->client, callbacks, pair, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return pair;
}

struct pair *pair_create(void)
{
    const struct limits limits = limits_default();
    struct pair *pair = pair_create_with(&limits, false);

    nghttp2_submit_settings(pair->client, NGHTTP2_FLAG_NONE, NULL, 0);
    return pair;
}

struct pair *pair_create_windowed(uint32_t bytes)
{
    const struct limits limits = limits_default();
    const nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, bytes};
    struct pair *pair = pair_create_with(&limits, true);

    nghttp2_submit_settings(pair->client, NGHTTP2_FLAG_NONE, &window, 1);
    return pair;
}

void pair_destroy(struct pair *pair)
{
    h2_destroy(pair->server);
    nghttp2_session_del(pair->client);
    CHECK_EQ(pair->lent, pair->released);
    for (size_t i = 0; i < pair->call_count; i++)
        CHECK_EQ(pair->calls[i].closed, 1);
    for (size_t i = 0; i < pair->reply_count; i++)
        free(pair->replies[i].body);
    free(pair);
}

/* Bytes for the server, in steps. */
static int pair_feed(struct pair *pair, const uint8_t *bytes, size_t count)
{
    size_t step = pair->step ? pair->step : count;

    for (size_t at = 0; at < count && pair->receive_result == 0; at += step) {
        size_t part = count - at < step ? count - at : step;

        pair->receive_result = h2_receive(pair->server, bytes + at, part, &pair->failure);
    }
    return pair->receive_result;
}

bool pair_client_to_server(struct pair *pair)
{
    const uint8_t *bytes;
    ssize_t count = nghttp2_session_mem_send(pair->client, &bytes);

    CHECK(count >= 0);
    if (count > 0)
        pair_feed(pair, bytes, (size_t)count);
    return count > 0;
}

bool pair_server_to_client(struct pair *pair)
{
    struct iovec iov[256];
    size_t count = pair->iovecs;

    CHECK_EQ(h2_produce(pair->server, iov, &count, &pair->failure), 0);
    if (count == 0 && h2_has_uploads_to_stop(pair->server)) {
        h2_stop_uploads(pair->server);
        h2_stop_uploads(pair->server);
        count = pair->iovecs;
        CHECK_EQ(h2_produce(pair->server, iov, &count, &pair->failure), 0);
    }
    CHECK(count <= pair->iovecs);
    if (count == 0)
        return false;
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(nghttp2_session_mem_recv(pair->client, iov[i].iov_base, iov[i].iov_len),
                 iov[i].iov_len);
    h2_produced(pair->server);
    return true;
}

void pair_pump(struct pair *pair)
{
    for (unsigned i = 0; i < PUMP_ROUNDS_MAX; i++) {
        bool moved = pair_client_to_server(pair);

        if (!pair->hold)
            moved |= pair_server_to_client(pair);
        if (!moved)
            return;
    }
    check_failed(__FILE__, __LINE__, "the sessions talk for ever");
}

struct reply *pair_request(struct pair *pair, const char *path, size_t upload, bool open)
{
    nghttp2_nv nv[] = {NV(":method", "POST"), NV(":scheme", "http"), NV(":path", ""),
                       NV(":authority", "x"), NV("te", "trailers")};
    nghttp2_data_provider body = {.read_callback = client_upload};
    struct reply *reply = &pair->replies[pair->reply_count++];

    CHECK(pair->reply_count < CALLS_MAX);
    nv[2].value = (uint8_t *)(uintptr_t)path;
    nv[2].valuelen = strlen(path);
    reply->reset_code = NEVER;
    reply->upload_left = upload;
    reply->upload_open = open;
    reply->id = nghttp2_submit_request(pair->client, NULL, nv, sizeof(nv) / sizeof(nv[0]),
                                       upload || open ? &body : NULL, NULL);
    CHECK(reply->id > 0);
    return reply;
}

void pair_half_close(struct pair *pair, struct reply *reply)
{
    reply->upload_open = false;
    nghttp2_session_resume_data(pair->client, reply->id);
}

struct call *pair_one_call(struct pair *pair, bool open)
{
    pair_request(pair, "/a/b", 1000, open);
    pair_pump(pair);
    CHECK_EQ(pair->call_count, 1);
    return &pair->calls[0];
}
