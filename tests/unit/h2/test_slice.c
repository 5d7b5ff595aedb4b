/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/check.h"
#include "tests/lib/h2_pair.h"

/* ---- helpers ---- */

/* The batch that h2_produce has, unwritten. */
static size_t take_batch(struct pair *pair, struct iovec iov[64])
{
    size_t count = 64;

    CHECK_EQ(h2_produce(pair->server, iov, &count, &pair->failure), 0);
    return count;
}

static void client_takes(struct pair *pair, const struct iovec *iov, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(nghttp2_session_mem_recv(pair->client, iov[i].iov_base, iov[i].iov_len),
                 iov[i].iov_len);
    h2_produced(pair->server);
}

/* ---- cases ---- */

CASE(peer_resets, "a reset by the peer releases the remaining slices")
{
    struct pair *pair = pair_create_windowed(50);
    struct call *call = pair_one_call(pair, true);

    pair_call_respond(call);
    pair_call_write(call, 40, 'x');
    pair_call_write(call, 40, 'y');
    pair_pump(pair);
    CHECK_EQ(pair->released, 1);
    nghttp2_submit_rst_stream(pair->client, NGHTTP2_FLAG_NONE, 1, NGHTTP2_CANCEL);
    pair_pump(pair);
    CHECK_EQ(pair->released, 2);
    CHECK_EQ(call->closed, 1);
    CHECK_EQ(call->close_code, NGHTTP2_CANCEL);
    CHECK_EQ(h2_counters(pair->server)->resets_received, 1);
    pair_destroy(pair);
}

CASE(peer_resets_politely, "a reset with NO_ERROR before the end is a cancellation")
{
    struct pair *pair = pair_create();
    struct call *call = pair_one_call(pair, true);

    nghttp2_submit_rst_stream(pair->client, NGHTTP2_FLAG_NONE, 1, NGHTTP2_NO_ERROR);
    pair_pump(pair);
    CHECK_EQ(call->close_code, NGHTTP2_CANCEL);
    pair_destroy(pair);
}

CASE(own_reset,
     "our own reset releases the slices and closes the stream, but not inside the call")
{
    struct pair *pair = pair_create_windowed(50);
    struct call *call = pair_one_call(pair, true);

    pair_call_respond(call);
    pair_call_write(call, 40, 'x');
    pair_call_write(call, 40, 'y');
    h2_reset(call->stream, NGHTTP2_CANCEL);
    h2_reset(call->stream, NGHTTP2_INTERNAL_ERROR); /* the first one counts */
    pair_call_write(call, 40, 'z');
    pair_call_finish(call);
    CHECK_EQ(call->closed, 0); /* never from within */
    CHECK_EQ(pair->released, 0);
    pair_pump(pair);
    CHECK_EQ(call->closed, 1);
    CHECK_EQ(call->close_code, NGHTTP2_CANCEL);
    CHECK_EQ(pair->replies[0].reset_code, NGHTTP2_CANCEL);
    CHECK_EQ(pair->released, 3);
    pair_destroy(pair);
}

CASE(reset_mid_batch, "slices of a batch outlive their stream until the batch is written")
{
    struct pair *pair = pair_create_windowed(50);
    struct call *call = pair_one_call(pair, true);
    struct iovec iov[64];
    size_t count;

    pair_call_respond(call);
    pair_call_write(call, 40, 'x');
    pair_call_write(call, 40, 'y'); /* a quarter of it in the batch */
    count = take_batch(pair, iov);
    nghttp2_submit_rst_stream(pair->client, NGHTTP2_FLAG_NONE, 1, NGHTTP2_CANCEL);
    pair->hold = true;
    pair_pump(pair);
    CHECK_EQ(pair->released, 0); /* the batch points to them */
    CHECK_EQ(call->closed, 0);
    h2_credit(call->stream, 1);
    h2_reset(call->stream, NGHTTP2_CANCEL);
    pair_call_write(call, 5, 'z');
    client_takes(pair, iov, count);
    CHECK_EQ(pair->released, 3);
    CHECK_EQ(call->closed, 1);
    CHECK_EQ(h2_streams(pair->server), 0);
    pair_destroy(pair);
}

CASE(end_in_batch, "a stream whose end is in a batch closes when the batch is written")
{
    struct pair *pair = pair_create();
    struct call *call = pair_one_call(pair, false);
    struct iovec iov[64];
    size_t count;

    pair_call_respond(call);
    pair_call_write(call, 40, 'x');
    pair_call_finish(call);
    count = take_batch(pair, iov);
    CHECK_EQ(call->closed, 0); /* nghttp2 is done with it, the socket is not */
    CHECK_EQ(pair->released, 0);
    CHECK(!h2_over(pair->server));
    client_takes(pair, iov, count);
    CHECK_EQ(call->closed, 1);
    CHECK_EQ(call->close_code, 0);
    pair_destroy(pair);
}

CASE(destroy_mid_batch,
     "destroying a session while a batch is being written releases everything once")
{
    for (int with_trailers = 0; with_trailers < 2; with_trailers++) {
        struct pair *pair = pair_create_windowed(50);
        struct call *call = pair_one_call(pair, false);
        struct iovec iov[64];

        pair_call_respond(call);
        pair_call_write(call, 40, 'x');
        if (with_trailers)
            pair_call_finish(call);
        else
            pair_call_write(call, 40, 'y');
        take_batch(pair, iov);
        CHECK_EQ(pair->released, 0);
        pair_destroy(pair);
    }
}

static void closed_calls_others(struct call *call)
{
    struct pair *pair = call->pair;

    for (size_t i = 0; i < pair->call_count; i++) {
        struct call *other = &pair->calls[i];

        if (!other->stream)
            continue;
        h2_credit(other->stream, 1);
        pair_call_respond(other);
        pair_call_write(other, 3, 'x');
        pair_call_finish(other);
        h2_reset(other->stream, NGHTTP2_CANCEL);
    }
}

CASE(closed_may_call_back,
     "owners may call the session from closed() while it is destroyed")
{
    struct pair *pair = pair_create();

    for (size_t i = 0; i < 3; i++)
        pair_request(pair, "/x", 10, true);
    pair_pump(pair);
    for (size_t i = 0; i < 3; i++)
        CHECK_EQ(pair->calls[i].closed, 0);
    pair->on_closed = closed_calls_others;
    pair->calls[1].stream = NULL; /* responding twice would be the test's mistake */
    pair_destroy(pair);
}

static void keep(struct h2_slice *slice)
{
    slice->bytes = NULL;
}

CASE(points, "slices are sent without copying")
{
    struct pair *pair = pair_create_windowed(1 << 20);
    struct call *call = pair_one_call(pair, false);
    static uint8_t body[100000];
    struct h2_slice slice = {.bytes = body, .count = sizeof(body), .release = keep};
    struct iovec iov[64];
    size_t count, bytes = 0;

    pair_call_respond(call);
    h2_write(call->stream, &slice);
    count = take_batch(pair, iov);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = iov[i].iov_base;

        if (at >= body && at < body + sizeof(body)) {
            CHECK(at == body + bytes);
            bytes += iov[i].iov_len;
        } else {
            CHECK(iov[i].iov_len < 100);
        }
    }
    CHECK_EQ(bytes, 65535); /* the connection's first window */
    client_takes(pair, iov, count);
    CHECK(slice.bytes == body); /* some of it is still to be sent */
    pair_destroy(pair);
    CHECK(!slice.bytes);
}

CASE(many_slices, "many small slices, some empty, keep their order")
{
    struct pair *pair = pair_create();
    struct call *call = pair_one_call(pair, false);
    struct reply *reply = &pair->replies[0];

    pair->iovecs = 5;
    pair_call_respond(call);
    for (size_t i = 0; i < 5000; i++)
        pair_call_write(call, i % 3, (uint8_t)i);
    pair_call_finish(call);
    pair_pump(pair);
    CHECK_EQ(reply->body_bytes, 4999);
    for (size_t i = 0, at = 0; i < 5000; i++)
        for (size_t j = 0; j < i % 3; j++, at++)
            CHECK(reply->body[at] == (uint8_t)i);
    CHECK_STR(reply->grpc_status, "0");
    pair_destroy(pair);
}

/* One step of one of the calls. */
static void random_step(struct pair *pair, uint64_t *random)
{
    size_t i = check_random(random) % pair->call_count;
    struct call *call = &pair->calls[i];

    if (!call->stream || call->finished)
        return;
    switch (check_random(random) % 10) {
    case 0:
        h2_reset(call->stream, NGHTTP2_CANCEL);
        break;
    case 1:
        pair_call_finish(call);
        break;
    case 2:
        nghttp2_submit_rst_stream(pair->client, NGHTTP2_FLAG_NONE, pair->replies[i].id,
                                  NGHTTP2_CANCEL);
        break;
    default:
        if (!call->responded)
            pair_call_respond(call);
        pair_call_write(call, check_random(random) % 40000, (uint8_t)i);
    }
}

static void random_life(uint64_t *random)
{
    struct pair *pair = pair_create();

    pair->iovecs = 3 + check_random(random) % 60;
    pair->step = check_random(random) % 2 ? 1 + check_random(random) % 100 : 0;
    for (size_t i = 0; i < 30; i++)
        pair_request(pair, "/x", check_random(random) % 5000, check_random(random) % 2);
    pair_pump(pair);
    for (size_t i = 0; i < 300; i++) {
        random_step(pair, random);
        if (check_random(random) % 8 == 0)
            pair_client_to_server(pair);
        if (check_random(random) % 8 == 0)
            pair_server_to_client(pair);
    }
    if (check_random(random) % 2)
        pair_pump(pair);
    for (size_t i = 0; i < pair->reply_count; i++)
        for (size_t j = 0; j < pair->replies[i].body_bytes; j++)
            CHECK(pair->replies[i].body[j] == (uint8_t)i);
    pair_destroy(pair);
}

CASE(random_lives, "random streams end once, and every slice is released once")
{
    uint64_t random = check_seed();

    for (int round = 0; round < 50; round++)
        random_life(&random);
}
