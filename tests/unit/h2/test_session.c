/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "h2/fields.h"
#include "tests/lib/check.h"
#include "tests/lib/h2_pair.h"

/* ---- helpers ---- */

/* A request with five fields and `count` more of `value_bytes` each. */
static void request_with_fields(struct pair *pair, size_t count, size_t value_bytes)
{
    static char value[20000];
    nghttp2_nv *nv = calloc(count + 4, sizeof(*nv));
    const nghttp2_nv first[] = {NV(":method", "POST"), NV(":scheme", "http"),
                                NV(":path", "/x"), NV(":authority", "x")};
    struct reply *reply = &pair->replies[pair->reply_count++];

    CHECK(nv);
    memset(value, 'v', sizeof(value));
    memcpy(nv, first, sizeof(first));
    for (size_t i = 0; i < count; i++)
        nv[4 + i] = (nghttp2_nv){(uint8_t *)(uintptr_t) "x", (uint8_t *)value, 1,
                                 value_bytes, NGHTTP2_NV_FLAG_NONE};
    reply->id = nghttp2_submit_request(pair->client, NULL, nv, count + 4, NULL, NULL);
    free(nv);
    pair_pump(pair);
}

/* ---- cases ---- */

CASE(header_count, "a request may have a hundred header fields, not one more")
{
    struct pair *pair = pair_create();

    request_with_fields(pair, HEADER_FIELDS_MAX - 4, 1);
    CHECK_EQ(pair->calls[0].header_count, HEADER_FIELDS_MAX);
    CHECK(!pair->calls[0].too_large);
    request_with_fields(pair, HEADER_FIELDS_MAX - 3, 1);
    CHECK(pair->calls[1].too_large);
    CHECK_STR(pair->replies[1].grpc_status, "8");
    request_with_fields(pair, 1, 1);
    CHECK(!pair->calls[2].too_large);
    CHECK_EQ(pair->receive_result, 0);
    pair_destroy(pair);
}

CASE(header_bytes, "header bytes are counted as the RFC does")
{
    /* :method POST, :scheme http, :path /x, :authority x, and x's name. */
    const size_t others = 11 + 11 + 7 + 11 + 1 + 5 * 32;
    struct pair *pair = pair_create();

    request_with_fields(pair, 1, HEADER_BYTES_MAX - others);
    CHECK(!pair->calls[0].too_large);
    request_with_fields(pair, 1, HEADER_BYTES_MAX - others + 1);
    CHECK(pair->calls[1].too_large);
    request_with_fields(pair, 90, HEADER_BYTES_MAX / 90);
    CHECK(pair->calls[2].too_large);
    CHECK_EQ(pair->receive_result, 0);
    pair_destroy(pair);
}

CASE(header_bomb, "a thousand fields end the connection")
{
    struct pair *pair = pair_create();

    request_with_fields(pair, HEADER_FIELDS_HARD_MAX, 1);
    CHECK_EQ(pair->receive_result, -1);
    CHECK_EQ(pair->call_count, 0);
    CHECK_EQ(pair->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK(h2_over(pair->server));
    pair_destroy(pair);
}

CASE(stream_limit, "streams above the limit are refused")
{
    struct limits limits = limits_default();
    struct pair *pair;

    limits.streams_per_connection_max = 5;
    pair = pair_create_with(&limits, false);
    nghttp2_submit_settings(pair->client, NGHTTP2_FLAG_NONE, NULL, 0);
    for (size_t i = 0; i < 8; i++)
        pair_request(pair, "/x", 0, false);
    pair->hold = true; /* our SETTINGS arrive too late */
    pair_pump(pair);
    pair->hold = false;
    pair_pump(pair);
    CHECK_EQ(pair->call_count, 5);
    for (size_t i = 5; i < 8; i++)
        CHECK_EQ(pair->replies[i].close_code, NGHTTP2_REFUSED_STREAM);
    CHECK_EQ(h2_counters(pair->server)->refused_streams, 3);
    CHECK_EQ(h2_streams(pair->server), 5);
    pair_destroy(pair);
}

CASE(first_frames, "the first frames are our SETTINGS and the connection's window")
{
    struct pair *pair = pair_create();
    const struct limits *limits = &pair->limits;

    pair_pump(pair);
    CHECK_EQ(nghttp2_session_get_remote_settings(pair->client,
                                                 NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS),
             limits->streams_per_connection_max);
    CHECK_EQ(nghttp2_session_get_remote_settings(pair->client,
                                                 NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE),
             limits->stream_window_bytes);
    CHECK_EQ(nghttp2_session_get_remote_settings(pair->client,
                                                 NGHTTP2_SETTINGS_MAX_FRAME_SIZE),
             limits->frame_bytes_max);
    CHECK_EQ(nghttp2_session_get_remote_settings(pair->client,
                                                 NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE),
             HEADER_BYTES_MAX);
    CHECK_EQ(nghttp2_session_get_remote_window_size(pair->client),
             limits->connection_window_bytes);
    pair_destroy(pair);
}

CASE(drains, "a drain sends GOAWAY twice and serves requests that crossed it")
{
    struct pair *pair = pair_create();

    pair_request(pair, "/early", 0, false);
    pair_pump(pair);
    h2_drain(pair->server);
    CHECK_EQ(pair->wakes, 1);
    pair_request(pair, "/crossing", 0, false); /* before the client hears of it */
    pair_client_to_server(pair);
    pair_server_to_client(pair);
    CHECK_EQ(pair->goaways, 1);
    CHECK_EQ(pair->goaway_last, INT32_MAX);
    CHECK_EQ(pair->call_count, 2);
    pair_pump(pair); /* the PING's answer brings the second GOAWAY */
    CHECK_EQ(pair->goaways, 2);
    CHECK_EQ(pair->goaway_last, pair->replies[1].id);
    CHECK_EQ(pair->goaway_code, NGHTTP2_NO_ERROR);
    CHECK(!h2_over(pair->server));
    for (size_t i = 0; i < 2; i++) {
        pair_call_respond(&pair->calls[i]);
        pair_call_write(&pair->calls[i], 10, 'x');
        pair_call_finish(&pair->calls[i]);
        pair_pump(pair);
        CHECK_STR(pair->replies[i].grpc_status, "0");
        CHECK_EQ(h2_over(pair->server), i == 1);
    }
    pair_destroy(pair);
}

/* A second request whose bytes the client has sent before it heard of the drain, but which
 * come behind the PING's answer. `between`: what the server sends in between arrives. */
static void drain_with_a_late_request(struct pair *pair, bool between)
{
    uint8_t late[256];
    const uint8_t *bytes;
    ssize_t count;

    pair_request(pair, "/early", 0, false);
    pair_pump(pair);
    h2_drain(pair->server);
    pair_request(pair, "/late", 0, false);
    count = nghttp2_session_mem_send(pair->client, &bytes);
    CHECK(count > 0 && (size_t)count <= sizeof(late));
    memcpy(late, bytes, (size_t)count);
    pair_server_to_client(pair); /* GOAWAY and PING */
    pair_client_to_server(pair); /* the answer */
    while (between && pair_server_to_client(pair))
        continue;
    CHECK_EQ(h2_receive(pair->server, late, (size_t)count, &pair->failure), 0);
    pair_pump(pair);
    CHECK_EQ(pair->goaways, 2);
}

CASE(drains_behind_the_answer,
     "a request right behind the PING's answer is served, and the last GOAWAY covers it")
{
    struct pair *pair = pair_create();

    drain_with_a_late_request(pair, false);
    CHECK_EQ(pair->call_count, 2);
    CHECK_EQ(pair->goaway_last, pair->replies[1].id);
    CHECK(!h2_over(pair->server));
    for (size_t i = 0; i < 2; i++) {
        pair_call_respond(&pair->calls[i]);
        pair_call_finish(&pair->calls[i]);
        pair_pump(pair);
        CHECK_STR(pair->replies[i].grpc_status, "0");
    }
    CHECK(h2_over(pair->server));
    pair_destroy(pair);
}

CASE(drained, "a request behind the last GOAWAY is not processed, and its client knows")
{
    struct pair *pair = pair_create();

    drain_with_a_late_request(pair, true);
    CHECK_EQ(pair->call_count, 1);
    CHECK_EQ(pair->goaway_last, pair->replies[0].id);
    CHECK_EQ(pair->replies[1].close_code, NGHTTP2_REFUSED_STREAM);
    pair_call_respond(&pair->calls[0]);
    pair_call_finish(&pair->calls[0]);
    pair_pump(pair);
    CHECK(h2_over(pair->server));
    pair_destroy(pair);
}

CASE(drains_in_a_full_batch,
     "a request is refused while the last GOAWAY, which does not cover it, is waiting")
{
    enum { PINGS = 800 }; /* their answers, which go first, fill a batch */
    struct pair *pair = pair_create();
    uint8_t late[256];
    const uint8_t *bytes;
    ssize_t count;

    pair_request(pair, "/early", 0, false);
    pair_pump(pair);
    h2_drain(pair->server);
    pair_request(pair, "/late", 0, false);
    count = nghttp2_session_mem_send(pair->client, &bytes);
    CHECK(count > 0 && (size_t)count <= sizeof(late));
    memcpy(late, bytes, (size_t)count);
    pair_server_to_client(pair);
    for (int i = 0; i < PINGS; i++)
        CHECK_EQ(nghttp2_submit_ping(pair->client, NGHTTP2_FLAG_NONE, NULL), 0);
    while (pair_client_to_server(pair))
        continue;
    pair_server_to_client(pair);
    CHECK_EQ(pair->goaways, 1);
    CHECK_EQ(h2_receive(pair->server, late, (size_t)count, &pair->failure), 0);
    CHECK_EQ(pair->call_count, 1);
    pair_pump(pair);
    CHECK_EQ(pair->goaways, 2);
    CHECK_EQ(pair->goaway_last, pair->replies[0].id);
    CHECK_EQ(pair->replies[1].close_code, NGHTTP2_REFUSED_STREAM);
    pair_call_respond(&pair->calls[0]);
    pair_call_finish(&pair->calls[0]);
    pair_pump(pair);
    CHECK(h2_over(pair->server));
    pair_destroy(pair);
}

CASE(drains_a_silent_peer, "a drain does not wait for the peer")
{
    struct pair *pair = pair_create();

    pair_request(pair, "/x", 0, false);
    pair_pump(pair);
    h2_drain(pair->server);
    h2_drain(pair->server);
    h2_drain_finish(pair->server); /* without waiting for the PING's answer */
    h2_drain_finish(pair->server);
    pair_pump(pair);
    CHECK_EQ(pair->goaways, 2);
    CHECK_EQ(pair->goaway_last, pair->replies[0].id);
    h2_reset(pair->calls[0].stream, NGHTTP2_CANCEL);
    pair_pump(pair);
    CHECK(h2_over(pair->server));
    pair_destroy(pair);
}

CASE(goodbye, "a peer that sends GOAWAY still gets its answers")
{
    struct pair *pair = pair_create();

    pair_request(pair, "/x", 0, false);
    pair_pump(pair);
    nghttp2_submit_goaway(pair->client, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
    pair_pump(pair);
    CHECK(!h2_over(pair->server));
    pair_call_finish(&pair->calls[0]);
    pair_pump(pair);
    CHECK_STR(pair->replies[0].grpc_status, "0");
    CHECK(h2_over(pair->server));
    pair_destroy(pair);
}
