/* SPDX-License-Identifier: Apache-2.0 */
/* The header fields of one gRPC call through nghttp2, there and back in memory: what both ends of
 * HTTP/2 cannot do without, whoever carries the bytes. See raw_steps.h. */
#ifndef BENCH_RAW_HEADS_H
#define BENCH_RAW_HEADS_H

#include <nghttp2/nghttp2.h>
#include <string.h>

#include "tests/bench/raw_steps.h"

struct raw_heads {
    nghttp2_session *client, *server;
    bool answered;
};

#define RAW_FIELD(name, value)                                                           \
    {                                                                                    \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1,   \
            sizeof(value) - 1, NGHTTP2_NV_FLAG_NONE                                      \
    }

/* The reply has no byte here: its trailers follow. */
static inline ssize_t raw_heads_body(nghttp2_session *session, int32_t stream,
                                     uint8_t *buffer, size_t bytes, uint32_t *flags,
                                     nghttp2_data_source *source, void *user)
{
    static const nghttp2_nv trailers[] = {RAW_FIELD("grpc-status", "0")};

    (void)buffer, (void)bytes, (void)source, (void)user;
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return nghttp2_submit_trailer(session, stream, trailers, 1) == 0
               ? 0
               : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* The server answers a request; the client sees the end of the answer. */
static inline int raw_heads_frame(nghttp2_session *session, const nghttp2_frame *frame,
                                  void *user)
{
    static const nghttp2_nv fields[] = {RAW_FIELD(":status", "200"),
                                        RAW_FIELD("content-type", "application/grpc")};
    const nghttp2_data_provider body = {.read_callback = raw_heads_body};
    struct raw_heads *heads = user;

    if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    if (session == heads->client)
        heads->answered = true;
    else if (nghttp2_submit_response(session, frame->hd.stream_id, fields, 2, &body) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static inline void raw_heads_move(nghttp2_session *from, nghttp2_session *to)
{
    const uint8_t *bytes;
    ssize_t count;

    while ((count = nghttp2_session_mem_send(from, &bytes)) > 0)
        if (nghttp2_session_mem_recv(to, bytes, (size_t)count) != count)
            raw_die("HTTP/2 failed");
}

static inline void raw_heads_init(struct raw_heads *heads)
{
    nghttp2_session_callbacks *callbacks;

    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        raw_die("no memory");
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, raw_heads_frame);
    if (nghttp2_session_client_new(&heads->client, callbacks, heads) != 0 ||
        nghttp2_session_server_new(&heads->server, callbacks, heads) != 0 ||
        nghttp2_submit_settings(heads->client, NGHTTP2_FLAG_NONE, NULL, 0) != 0 ||
        nghttp2_submit_settings(heads->server, NGHTTP2_FLAG_NONE, NULL, 0) != 0)
        raw_die("no HTTP/2 session");
    nghttp2_session_callbacks_del(callbacks);
    raw_heads_move(heads->client, heads->server);
    raw_heads_move(heads->server, heads->client);
    raw_heads_move(heads->client, heads->server);
}

static inline void raw_heads_call(struct raw_heads *heads)
{
    static const nghttp2_nv fields[] = {
        RAW_FIELD(":method", "POST"),
        RAW_FIELD(":scheme", "http"),
        RAW_FIELD(":path", "/trit.v1.Ternary/Project"),
        RAW_FIELD(":authority", "127.0.0.1:50051"),
        RAW_FIELD("te", "trailers"),
        RAW_FIELD("content-type", "application/grpc"),
        RAW_FIELD("user-agent", "libtrit"),
    };

    heads->answered = false;
    if (nghttp2_submit_request(heads->client, NULL, fields,
                               sizeof(fields) / sizeof(fields[0]), NULL, NULL) < 0)
        raw_die("no HTTP/2 request");
    raw_heads_move(heads->client, heads->server);
    raw_heads_move(heads->server, heads->client);
    if (!heads->answered)
        raw_die("no HTTP/2 answer");
}

static inline void raw_heads_fini(struct raw_heads *heads)
{
    nghttp2_session_del(heads->client);
    nghttp2_session_del(heads->server);
}

#endif
