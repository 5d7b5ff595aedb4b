/* SPDX-License-Identifier: Apache-2.0 */
/* Frames on streams that are closed (RFC 9113, 5.1 and 5.1.1), each as one read and byte
 * by byte. */
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/crowd.h"

enum { END = NGHTTP2_FLAG_END_STREAM };

static void feed_in(struct crowd *crowd, const uint8_t *bytes, size_t count, size_t step)
{
    for (size_t at = 0; at < count; at += step)
        crowd_feed(crowd, bytes + at, count - at < step ? count - at : step);
    crowd_take(crowd);
}

/* Opens streams 1 and 3, resets 1, and sends another frame on 1. */
static void after_reset(uint8_t type, size_t step)
{
    struct crowd *crowd = crowd_create();
    uint8_t buffer[300];
    size_t count = headers_frame(buffer, 1, 0);

    count += headers_frame(buffer + count, 3, 0);
    count += frame(buffer + count, NGHTTP2_RST_STREAM, 0, 1, "\0\0\0\10", 4);
    count += type == NGHTTP2_DATA ? frame(buffer + count, type, 0, 1, "test", 4)
                                  : headers_frame(buffer + count, 1, END);
    count += frame(buffer + count, NGHTTP2_DATA, 0, 3, "more", 4);
    feed_in(crowd, buffer, count, step);
    CHECK_EQ(crowd->result, 0);
    CHECK_EQ(reset_code(crowd, 1), NGHTTP2_STREAM_CLOSED);
    CHECK_EQ(reset_code(crowd, 3), NO_FRAME);
    CHECK_EQ(crowd->requests, 2);
    CHECK_EQ(crowd->body_bytes, 4); /* of stream 3 */
    CHECK(h2_counters(crowd->session)->glitches >= 1);
    crowd_destroy(crowd);
}

CASE(data_after_reset, "DATA after the peer's RST_STREAM is an error of the stream")
{
    after_reset(NGHTTP2_DATA, 300);
    after_reset(NGHTTP2_DATA, 1);
}

CASE(headers_after_reset,
     "HEADERS after the peer's RST_STREAM are an error of the stream")
{
    after_reset(NGHTTP2_HEADERS, 300);
    after_reset(NGHTTP2_HEADERS, 1);
}

/* A whole request and its response; then another frame. */
static void after_end(uint8_t type, size_t step)
{
    struct crowd *crowd = crowd_create();
    uint8_t buffer[200];

    crowd->answers = ANSWERS_AT_END;
    feed_in(crowd, buffer, headers_frame(buffer, 1, END), step);
    CHECK_EQ(crowd->closed, 1);
    feed_in(crowd, buffer,
            type == NGHTTP2_DATA ? frame(buffer, type, END, 1, "test", 4)
                                 : headers_frame(buffer, 1, END),
            step);
    CHECK_EQ(crowd->result, -1);
    CHECK_EQ(goaway_code(crowd), NGHTTP2_STREAM_CLOSED);
    CHECK_EQ(crowd->requests, 1);
    crowd_destroy(crowd);
}

CASE(data_after_end, "DATA on a stream that the peer ended is an error of the connection")
{
    after_end(NGHTTP2_DATA, 200);
    after_end(NGHTTP2_DATA, 1);
}

CASE(headers_after_end,
     "HEADERS on a stream that the peer ended are an error of the connection")
{
    after_end(NGHTTP2_HEADERS, 200);
    after_end(NGHTTP2_HEADERS, 1);
}

CASE(ended_in_one_read, "the end of a stream applies to later frames of the same read")
{
    struct crowd *crowd = crowd_create();
    uint8_t buffer[200];
    size_t count;

    crowd->answers = ANSWERS_AT_END;
    feed_in(crowd, buffer, headers_frame(buffer, 1, 0), 200);
    count = frame(buffer, NGHTTP2_DATA, END, 1, "last", 4);
    count += frame(buffer + count, NGHTTP2_DATA, 0, 1, "more", 4);
    feed_in(crowd, buffer, count, 200);
    CHECK_EQ(goaway_code(crowd), NGHTTP2_STREAM_CLOSED);
    CHECK(h2_over(crowd->session));
    CHECK_EQ(crowd->body_bytes, 4);
    crowd_destroy(crowd);
}

CASE(backwards, "a stream id that goes backwards is a protocol error")
{
    for (size_t step = 1; step <= 200; step += 199) {
        struct crowd *crowd = crowd_create();
        uint8_t buffer[200];
        size_t count = headers_frame(buffer, 5, 0);

        count += headers_frame(buffer + count, 3, 0);
        feed_in(crowd, buffer, count, step);
        CHECK_EQ(crowd->result, -1);
        CHECK_EQ(goaway_code(crowd), NGHTTP2_PROTOCOL_ERROR);
        CHECK_EQ(crowd->requests, 1);
        crowd_destroy(crowd);
    }
}

CASE(skipped_data, "DATA on a stream that was skipped is a protocol error")
{
    struct crowd *crowd = crowd_create();
    uint8_t buffer[200];
    size_t count = headers_frame(buffer, 5, 0);

    count += frame(buffer + count, NGHTTP2_DATA, 0, 3, "test", 4);
    feed_in(crowd, buffer, count, 200);
    CHECK_EQ(crowd->result, -1);
    CHECK_EQ(goaway_code(crowd), NGHTTP2_PROTOCOL_ERROR);
    crowd_destroy(crowd);
}

CASE(polite_peer, "an upload that ends before h2_stop_uploads is not reset")
{
    struct crowd *crowd = crowd_create();
    uint8_t buffer[300];

    crowd->answers = ANSWERS_EARLY;
    feed_in(crowd, buffer, headers_frame(buffer, 1, 0), 200);
    CHECK(h2_has_uploads_to_stop(crowd->session));
    feed_in(crowd, buffer, frame(buffer, NGHTTP2_DATA, END, 1, "last", 4), 200);
    CHECK(!h2_has_uploads_to_stop(crowd->session));
    h2_stop_uploads(crowd->session);
    h2_stop_uploads(crowd->session);
    crowd_take(crowd);
    CHECK_EQ(reset_code(crowd, 1), NO_FRAME);
    CHECK_EQ(crowd->closed, 1);
    crowd_destroy(crowd);
}

CASE(late_data, "DATA that was on its way when we ended the stream is ignored")
{
    for (size_t step = 1; step <= 300; step += 299) {
        struct crowd *crowd = crowd_create();
        uint8_t buffer[300];
        size_t count;

        crowd->answers = ANSWERS_EARLY;
        feed_in(crowd, buffer, headers_frame(buffer, 1, 0), step);
        for (int calls = 0; calls < 2; calls++) {
            CHECK_EQ(reset_code(crowd, 1), NO_FRAME);
            h2_stop_uploads(crowd->session);
            crowd_take(crowd);
        }
        CHECK_EQ(reset_code(crowd, 1), NGHTTP2_NO_ERROR);
        CHECK_EQ(crowd->closed, 1);
        count = frame(buffer, NGHTTP2_DATA, 0, 1, "late", 4);
        count += frame(buffer + count, NGHTTP2_DATA, END, 1, "last", 4);
        count += frame(buffer + count, NGHTTP2_RST_STREAM, 0, 1, "\0\0\0\0", 4);
        count += headers_frame(buffer + count, 3, 0);
        feed_in(crowd, buffer, count, step);
        CHECK_EQ(crowd->result, 0);
        CHECK_EQ(crowd->requests, 2);
        CHECK_EQ(crowd->body_bytes, 0);
        crowd_destroy(crowd);
    }
}

CASE(data_after_reset_flood, "a flood of DATA after RST_STREAM is cut off")
{
    struct crowd *crowd = crowd_create();
    uint8_t buffer[200];
    size_t count = headers_frame(buffer, 1, 0), frames;

    count += frame(buffer + count, NGHTTP2_RST_STREAM, 0, 1, "\0\0\0\10", 4);
    feed_in(crowd, buffer, count, 200);
    count = frame(buffer, NGHTTP2_DATA, 0, 1, "test", 4);
    for (frames = 0; frames < 1000000 && crowd->result == 0; frames++)
        feed_in(crowd, buffer, count, 200);
    CHECK_EQ(crowd->result, -1);
    CHECK(frames < 25000);
    crowd_destroy(crowd);
}
