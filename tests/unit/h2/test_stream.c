/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/h2_pair.h"

/* ---- helpers ---- */

static void window(struct pair *pair, int32_t id, int32_t bytes)
{
    CHECK_EQ(nghttp2_submit_window_update(pair->client, NGHTTP2_FLAG_NONE, id, bytes), 0);
}

/* ---- cases ---- */

CASE(answers, "a request is delivered and answered")
{
    struct pair *pair = pair_create();
    struct call *call = pair_one_call(pair, false);
    struct reply *reply = &pair->replies[0];

    CHECK_STR(call->path, "/a/b");
    CHECK_EQ(call->header_count, 5);
    CHECK_EQ(call->body_bytes, 1000);
    CHECK(call->ended);
    CHECK(h2_preface_received(pair->server));
    CHECK_EQ(h2_streams(pair->server), 1);
    pair_call_respond(call);
    pair_call_write(call, 300, 'x');
    pair_call_write(call, 0, 'x');
    pair_call_write(call, 400, 'y');
    CHECK_EQ(h2_stream_queued(call->stream), 700);
    pair_call_finish(call);
    CHECK_EQ(pair->wakes, 1);
    pair_pump(pair);
    CHECK_STR(reply->status, "200");
    CHECK_STR(reply->grpc_status, "0");
    CHECK_EQ(reply->body_bytes, 700);
    CHECK(reply->body[299] == 'x' && reply->body[300] == 'y');
    CHECK_EQ(reply->data_frames, 1);
    CHECK_EQ(reply->close_code, 0);
    CHECK_EQ(reply->reset_code, NEVER);
    CHECK_EQ(call->closed, 1);
    CHECK_EQ(call->close_code, 0);
    CHECK_EQ(h2_streams(pair->server), 0);
    pair_destroy(pair);
}

CASE(answers_fixed,
     "fields that are constants arrive like others, with and without a body")
{
    static const struct h2_header type = {"content-type", "application/grpc", 12, 16},
                                  status = {"grpc-status", "0", 11, 1};

    for (int body = 0; body < 2; body++) {
        struct pair *pair = pair_create();
        struct call *call = pair_one_call(pair, false);
        struct reply *reply = &pair->replies[0];

        CHECK_EQ(h2_respond_fixed(call->stream, 200, &type, 1), 0);
        pair_pump(pair); /* the stream waits for bytes */
        CHECK_STR(reply->status, "200");
        if (body)
            pair_call_write(call, 300, 'x');
        CHECK_EQ(h2_finish_fixed(call->stream, &status, 1), 0);
        pair_pump(pair);
        CHECK_STR(reply->grpc_status, "0");
        CHECK_EQ(reply->body_bytes, body ? 300 : 0);
        CHECK_EQ(call->close_code, 0);
        pair_destroy(pair);
    }
}

static void answers_from_request(struct call *call)
{
    pair_call_respond(call);
    pair_call_write(call, 50, 'x');
    pair_call_finish(call);
}

CASE(answers_at_once, "an answer from within request() needs no wake-up")
{
    struct pair *pair = pair_create();

    pair->on_request = answers_from_request;
    pair_request(pair, "/x", 0, false);
    pair_pump(pair);
    CHECK_EQ(pair->wakes, 0); /* the caller of h2_receive looks for output itself */
    CHECK_EQ(pair->replies[0].body_bytes, 50);
    CHECK_STR(pair->replies[0].grpc_status, "0");
    pair_destroy(pair);
}

CASE(no_body, "a response without a body ends in trailers")
{
    struct pair *pair = pair_create();
    struct call *call = pair_one_call(pair, false);

    pair_call_respond(call);
    pair_pump(pair);
    pair_call_finish(call);
    pair_pump(pair);
    CHECK_STR(pair->replies[0].grpc_status, "0");
    CHECK_EQ(pair->replies[0].data_frames, 0);
    CHECK_EQ(call->close_code, 0);
    pair_destroy(pair);
}

CASE(trailers_only, "finishing without a response sends one HEADERS frame")
{
    struct pair *pair = pair_create();
    struct call *call = pair_one_call(pair, false);

    pair_call_finish(call);
    pair_pump(pair);
    CHECK_STR(pair->replies[0].status, "200");
    CHECK_STR(pair->replies[0].grpc_status, "0");
    CHECK_EQ(call->close_code, 0);
    CHECK_EQ(pair->replies[0].close_code, 0);
    pair_destroy(pair);
}

CASE(no_trailers, "a response without trailers ends in DATA")
{
    for (size_t bytes = 0; bytes <= 10; bytes += 10) {
        struct pair *pair = pair_create();
        struct call *call = pair_one_call(pair, bytes > 0);

        CHECK_EQ(h2_respond(call->stream, 415, NULL, 0), 0);
        if (bytes)
            pair_call_write(call, bytes, 'x');
        CHECK_EQ(h2_finish(call->stream, NULL, 0), 0);
        pair_pump(pair);
        CHECK_STR(pair->replies[0].status, "415");
        CHECK_EQ(pair->replies[0].body_bytes, bytes);
        CHECK(pair->replies[0].closed);
        CHECK_EQ(call->close_code, 0);
        pair_destroy(pair);
    }
}

CASE(early_finish, "finishing before the peer half-closes ends in RST_STREAM(NO_ERROR)")
{
    struct pair *pair = pair_create();
    struct call *call = pair_one_call(pair, true);
    struct reply *reply = &pair->replies[0];

    CHECK(!call->ended);
    pair_call_respond(call);
    pair_call_write(call, 10, 'x');
    pair_call_finish(call);
    pair_pump(pair);
    CHECK_STR(reply->grpc_status, "0");
    CHECK_EQ(reply->reset_code, NGHTTP2_NO_ERROR);
    CHECK_EQ(call->closed, 1);
    CHECK_EQ(call->close_code, 0);
    CHECK(!call->ended);
    CHECK_EQ(h2_counters(pair->server)->glitches, 0);
    pair_destroy(pair);
}

/* The peer's last bytes cross our trailers. */
CASE(nothing_after_finish, "after finish() only closed() is called")
{
    struct pair *pair = pair_create();
    struct call *call = pair_one_call(pair, true);
    struct reply *reply = &pair->replies[0];

    pair_call_finish(call);
    reply->upload_left = 500;
    pair_half_close(pair, reply);
    pair->hold = true;
    pair_pump(pair);
    CHECK_EQ(call->body_bytes, 1000);
    CHECK(!call->ended);
    pair->hold = false;
    pair_pump(pair);
    CHECK_EQ(call->close_code, 0);
    CHECK_EQ(reply->reset_code, NEVER); /* the peer was done in time */
    pair_destroy(pair);
}

CASE(interleaves, "replies of several streams interleave and stay intact")
{
    struct pair *pair = pair_create();
    size_t halfway = 0;

    for (size_t i = 0; i < 20; i++)
        pair_request(pair, "/x", 100000 + i, false);
    pair_pump(pair);
    for (size_t i = 0; i < 20; i++) {
        CHECK(pair->calls[i].ended);
        pair_call_respond(&pair->calls[i]);
        for (size_t j = 0; j < 100; j++)
            pair_call_write(&pair->calls[i], 1000 + i, (uint8_t)i);
        pair_call_finish(&pair->calls[i]);
    }
    pair_server_to_client(pair);
    for (size_t i = 0; i < 20; i++)
        halfway += pair->replies[i].body_bytes > 0 && !pair->replies[i].closed;
    CHECK(halfway > 1); /* a long reply does not hold up the others */
    pair_pump(pair);
    for (size_t i = 0; i < 20; i++) {
        struct reply *reply = &pair->replies[i];

        CHECK_EQ(reply->body_bytes, 100 * (1000 + i));
        for (size_t j = 0; j < reply->body_bytes; j++)
            CHECK(reply->body[j] == i);
        CHECK_STR(reply->grpc_status, "0");
    }
    pair_destroy(pair);
}

CASE(byte_by_byte, "input may come byte by byte, and output leave three iovecs at a time")
{
    struct pair *pair = pair_create();

    pair->step = 1;
    pair->iovecs = 3;
    pair->on_request = answers_from_request;
    for (size_t i = 0; i < 5; i++)
        pair_request(pair, "/x", 3000, false);
    pair_pump(pair);
    for (size_t i = 0; i < 5; i++) {
        CHECK_EQ(pair->replies[i].body_bytes, 50);
        CHECK_STR(pair->replies[i].grpc_status, "0");
    }
    pair_destroy(pair);
}

CASE(zero_window,
     "a window of 0 and then of single bytes delays the data but loses nothing")
{
    struct pair *pair = pair_create_windowed(0);
    struct call *call = pair_one_call(pair, false);
    struct reply *reply = &pair->replies[0];

    pair_call_respond(call);
    pair_call_write(call, 60, 'x');
    pair_call_write(call, 40, 'y');
    pair_call_finish(call);
    pair_pump(pair);
    CHECK_STR(reply->status, "200");
    CHECK_EQ(reply->body_bytes, 0);
    CHECK_EQ(h2_stream_queued(call->stream), 100);
    for (size_t i = 1; i <= 99; i++) {
        window(pair, reply->id, 1);
        pair_pump(pair);
        CHECK_EQ(reply->body_bytes, i);
        CHECK_EQ(pair->released, i >= 60);
        CHECK_EQ(reply->closed, false);
    }
    window(pair, reply->id, 1);
    pair_pump(pair);
    CHECK_EQ(reply->body_bytes, 100);
    CHECK_STR(reply->grpc_status, "0");
    CHECK_EQ(call->close_code, 0);
    pair_destroy(pair);
}

CASE(stall_of_one, "a stream without flow-control credit does not stall other streams")
{
    struct pair *pair = pair_create();
    const struct limits *limits = &pair->limits;

    pair->credit = false;
    pair_request(pair, "/stalled", 2 * limits->stream_window_bytes, false);
    pair_request(pair, "/other", 1000, false);
    pair_pump(pair);
    CHECK_EQ(pair->calls[0].body_bytes, limits->stream_window_bytes);
    CHECK(!pair->calls[0].ended);
    CHECK(pair->calls[1].ended);
    h2_credit(pair->calls[0].stream, limits->stream_window_bytes);
    pair_pump(pair);
    CHECK_EQ(pair->calls[0].body_bytes, 2 * limits->stream_window_bytes);
    CHECK(pair->calls[0].ended);
    pair_destroy(pair);
}

CASE(connection_credit, "credit of closed streams is returned to the connection")
{
    struct limits limits = limits_default();
    struct pair *pair;

    limits.stream_window_bytes = 65535;
    limits.connection_window_bytes = 100000;
    pair = pair_create_with(&limits, false);
    pair->credit = false; /* no stream ever gives a byte back */
    nghttp2_submit_settings(pair->client, NGHTTP2_FLAG_NONE, NULL, 0);
    for (size_t i = 0; i < 20; i++) {
        pair_request(pair, "/x", 65535, i % 2);
        pair_pump(pair);
        CHECK_EQ(pair->calls[i].body_bytes, 65535);
        h2_reset(pair->calls[i].stream, NGHTTP2_CANCEL);
        pair_pump(pair);
        CHECK_EQ(pair->calls[i].closed, 1);
    }
    pair_destroy(pair);
}

CASE(discarded_upload,
     "credit of data for streams that were reset is returned to the connection")
{
    struct pair *pair = pair_create();
    struct reply *reply = pair_request(pair, "/x", 0, true);

    pair_pump(pair);
    h2_reset(pair->calls[0].stream, NGHTTP2_CANCEL);
    /* The client has not heard of it and fills the stream's window, again and
     * again on new streams: more than the connection's window in sum. */
    for (size_t i = 0; i < 12; i++) {
        reply->upload_left = pair->limits.stream_window_bytes;
        pair_half_close(pair, reply);
        pair->hold = true;
        pair_pump(pair);
        pair->hold = false;
        pair_pump(pair);
        CHECK_EQ(reply->upload_left, 0);
        reply = pair_request(pair, "/x", 0, true);
        pair_pump(pair);
        h2_reset(pair->calls[i + 1].stream, NGHTTP2_CANCEL);
    }
    pair_destroy(pair);
}

/* Longer than the staging buffer, and than a frame. */
CASE(long_trailers, "trailers longer than the staging buffer and a frame arrive")
{
    static char text[30000];
    const struct h2_header trailers[] = {{"grpc-status", "3", 11, 1},
                                         {"grpc-message", text, 12, sizeof(text)}};
    struct pair *pair = pair_create();
    struct call *call = pair_one_call(pair, false);

    memset(text, '~', sizeof(text)); /* no shorter in HPACK's Huffman code */
    pair_call_respond(call);
    pair_call_write(call, 10, 'x');
    CHECK_EQ(h2_finish(call->stream, trailers, 2), 0);
    pair_pump(pair);
    CHECK_STR(pair->replies[0].grpc_status, "3");
    CHECK_EQ(call->close_code, 0);
    pair_destroy(pair);
}
