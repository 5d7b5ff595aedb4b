/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h2/fields.h"
#include "tests/lib/check.h"
#include "tests/lib/crowd.h"

enum { FLOOD_FRAMES = 1000000, CUT_OFF_WITHIN = 25000 };

/* Feeds a frame again and again, reading all answers. */
static void flood(uint8_t type, uint8_t flags, uint32_t stream, const char *payload,
                  size_t bytes, int64_t expected)
{
    struct crowd *crowd = crowd_create();
    uint8_t buffer[100];
    size_t count = headers_frame(buffer, 1, 0), frames;

    crowd_feed(crowd, buffer, count);
    count = frame(buffer, type, flags, stream, payload, bytes);
    for (frames = 0; frames < FLOOD_FRAMES && crowd->result == 0; frames++) {
        crowd_feed(crowd, buffer, count);
        if (frames % 100 == 0 && crowd->result == 0)
            crowd_take(crowd);
    }
    CHECK_EQ(crowd->result, -1);
    CHECK(frames < CUT_OFF_WITHIN);
    crowd->output_bytes = 0;
    crowd_take(crowd);
    CHECK_EQ(goaway_code(crowd), expected);
    CHECK(h2_over(crowd->session));
    CHECK(crowd->failure.message[0]);
    crowd_destroy(crowd);
}

/* ---- cases ---- */

CASE(pings, "a flood of PINGs is cut off")
{
    flood(NGHTTP2_PING, 0, 0, "12345678", 8, NGHTTP2_ENHANCE_YOUR_CALM);
}

CASE(settings, "a flood of SETTINGS is cut off")
{
    flood(NGHTTP2_SETTINGS, 0, 0, "", 0, NGHTTP2_ENHANCE_YOUR_CALM);
}

CASE(priorities, "a flood of PRIORITY frames is cut off")
{
    flood(NGHTTP2_PRIORITY, 0, 3, "\0\0\0\0\7", 5, NGHTTP2_ENHANCE_YOUR_CALM);
}

CASE(window_updates, "a flood of WINDOW_UPDATEs is cut off")
{
    flood(NGHTTP2_WINDOW_UPDATE, 0, 1, "\0\0\0\1", 4, NGHTTP2_ENHANCE_YOUR_CALM);
}

CASE(empty_data, "a flood of empty DATA frames is cut off")
{
    flood(NGHTTP2_DATA, 0, 1, "", 0, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* Streams opened and reset, by `second`, a frame on the stream; in pairs. */
static void reset_flood(uint8_t type, const char *payload, size_t bytes)
{
    struct crowd *crowd = crowd_create();
    uint32_t stream = 1;

    for (; stream / 2 < FLOOD_FRAMES && !h2_over(crowd->session); stream += 2) {
        uint8_t buffer[200];
        size_t count = headers_frame(buffer, stream, 0);

        count += frame(buffer + count, type, 0, stream, payload, bytes);
        crowd_feed(crowd, buffer, count);
        crowd_take(crowd);
        CHECK(h2_streams(crowd->session) <= 1);
    }
    CHECK(stream / 2 < CUT_OFF_WITHIN);
    crowd_destroy(crowd);
}

CASE(rapid_reset, "a flood of streams that the peer resets is cut off")
{
    reset_flood(NGHTTP2_RST_STREAM, "\0\0\0\10", 4);
}

CASE(made_you_reset, "a flood of streams that the peer makes us reset is cut off")
{
    reset_flood(NGHTTP2_WINDOW_UPDATE, "\0\0\0\0", 4); /* an increment of 0 */
}

/* A field of 3,900 bytes, which the decoder keeps, and its index `again` times more. */
static int64_t field_bomb(size_t again)
{
    enum { HEAD_BYTES = 9, NAME_BYTES = 6, VALUE_BYTES = 3900 };
    const size_t count = NAME_BYTES + VALUE_BYTES + again;
    struct crowd *crowd = crowd_create();
    uint8_t raw[8192] = {0,
                         (uint8_t)(count >> 8),
                         (uint8_t)count,
                         NGHTTP2_HEADERS,
                         NGHTTP2_FLAG_END_HEADERS,
                         0,
                         0,
                         0,
                         1};
    uint8_t *at = raw + HEAD_BYTES;
    int64_t code;

    memcpy(at, "\x40\1x\x7f\xbd\x1d", NAME_BYTES); /* 127 + 61 + (29 << 7) = 3,900 */
    memset(at + NAME_BYTES, 'v', VALUE_BYTES);
    memset(at + NAME_BYTES + VALUE_BYTES, 0xbe, again);
    crowd_feed(crowd, raw, HEAD_BYTES + count);
    crowd->output_bytes = 0;
    crowd_take(crowd);
    code = goaway_code(crowd);
    crowd_destroy(crowd);
    return code;
}

CASE(header_bytes, "256 KiB of decoded fields end the connection")
{
    const size_t field = 3900 + 1 + HEADER_FIELD_OVERHEAD;

    CHECK(field_bomb(HEADER_BYTES_HARD_MAX / field - 1) != NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK_EQ(field_bomb(HEADER_BYTES_HARD_MAX / field + 1), NGHTTP2_ENHANCE_YOUR_CALM);
}

CASE(queue_unread, "the queue of answers that the peer does not read is bounded")
{
    struct crowd *crowd = crowd_create();
    uint8_t buffer[100];
    size_t count = frame(buffer, NGHTTP2_PING, 0, 0, "12345678", 8), frames;

    for (frames = 0; frames < CUT_OFF_WITHIN && crowd->result == 0; frames++)
        crowd_feed(crowd, buffer, count); /* and never take an answer */
    CHECK_EQ(crowd->result, -1);
    CHECK(frames < 6000);
    crowd_take(crowd);
    CHECK_EQ(goaway_code(crowd), NGHTTP2_ENHANCE_YOUR_CALM);
    crowd_destroy(crowd);
}

CASE(honest_control_frames, "an upload with PINGs and WINDOW_UPDATEs is not a flood")
{
    struct crowd *crowd = crowd_create();
    static uint8_t buffer[1000];
    size_t count = headers_frame(buffer, 1, 0);

    crowd_feed(crowd, buffer, count);
    count = frame(buffer, NGHTTP2_DATA, 0, 1, (const char *)buffer + 500, 80);
    count += frame(buffer + count, NGHTTP2_PING, 0, 0, "12345678", 8);
    count += frame(buffer + count, NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4);
    count += frame(buffer + count, NGHTTP2_WINDOW_UPDATE, 0, 1, "\0\0\0\1", 4);
    for (size_t i = 0; i < 50000; i++) {
        crowd_feed(crowd, buffer, count);
        crowd_take(crowd);
    }
    CHECK_EQ(crowd->result, 0);
    CHECK_EQ(h2_counters(crowd->session)->pings_received, 50000);
    CHECK_EQ(h2_counters(crowd->session)->glitches, 0);
    crowd_destroy(crowd);
}

CASE(stream_limit_known,
     "streams above a limit that the peer has acknowledged are refused")
{
    struct crowd *crowd = crowd_create();
    uint8_t buffer[100];

    crowd_feed(crowd, "\0\0\0\4\1\0\0\0\0", 9); /* SETTINGS ACK: no excuse */
    for (uint32_t i = 0; i < crowd->limits.streams_per_connection_max + 7; i++)
        crowd_feed(crowd, buffer, headers_frame(buffer, 2 * i + 1, 0));
    crowd_take(crowd);
    CHECK_EQ(crowd->result, 0);
    CHECK(!h2_over(crowd->session));
    CHECK_EQ(crowd->requests, crowd->limits.streams_per_connection_max);
    CHECK_EQ(h2_counters(crowd->session)->refused_streams, 7);
    CHECK_EQ(h2_streams(crowd->session), crowd->limits.streams_per_connection_max);
    crowd_feed(crowd, buffer, frame(buffer, NGHTTP2_RST_STREAM, 0, 1, "\0\0\0\10", 4));
    crowd_feed(crowd, buffer, headers_frame(buffer, 1001, 0));
    CHECK_EQ(crowd->requests, crowd->limits.streams_per_connection_max + 1);
    crowd_destroy(crowd);
}

CASE(not_http2, "input that is not HTTP/2 ends the session")
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));

    CHECK(crowd);
    crowd->limits = limits_default();
    crowd->session =
        h2_create(&crowd->limits, &crowd->events, crowd, NULL, crowd_wake, NULL);
    crowd_feed(crowd, "GET / HTTP/1.1\r\n\r\n", 18);
    CHECK_EQ(crowd->result, -1);
    CHECK(!h2_preface_received(crowd->session));
    CHECK_EQ(h2_receive(crowd->session, (const uint8_t *)"x", 1, NULL), -1);
    crowd_take(crowd);
    CHECK(h2_over(crowd->session));
    crowd_destroy(crowd);
}

/* Why headers whose last field is this one are malformed. */
static void check_malformed(const char *name, const char *value, const char *why)
{
    struct crowd *crowd = crowd_create();
    uint8_t buffer[200];
    char fields[80];
    size_t count = (size_t)snprintf(fields, sizeof(fields),
                                    "\x83\x86\x04\x02/x\x01\x01h\x40%c%s%c%s",
                                    (char)strlen(name), name, (char)strlen(value), value);

    count = frame(buffer, NGHTTP2_HEADERS, 4, 1, fields, count);
    crowd_feed(crowd, buffer, count);
    crowd_take(crowd);
    CHECK_EQ(crowd->malformed, 1);
    CHECK_STR(crowd->why, why);
    CHECK_EQ(reset_code(crowd, 1), NGHTTP2_PROTOCOL_ERROR);
    CHECK_EQ(crowd->requests, 0);
    crowd_destroy(crowd);
}

CASE(malformed_field, "the owner hears which field is malformed, not its value")
{
    check_malformed("te", "gzip", "te: \"gzip\" is not trailers");
    check_malformed("te", "0123456789012345678901234567890123456789xyz",
                    "te: \"0123456789012345678901234567890123456789\" is not trailers");
    check_malformed("Authorization", "secret",
                    "field \"Authorization\" is malformed or not allowed here");
    check_malformed("a]B", "], value: [secret",
                    "field \"a]B\" is malformed or not allowed here");
}

CASE(survives_bad_streams, "a malformed request ends its stream, not the connection")
{
    struct crowd *crowd = crowd_create();
    uint8_t buffer[200];
    /* No :path; then a forbidden field. */
    size_t count = frame(buffer, NGHTTP2_HEADERS, 5, 1, "\x83\x86", 2);

    crowd_feed(crowd, buffer, count);
    CHECK_EQ(crowd->malformed, 1);
    CHECK_STR(crowd->why, "a pseudo-header field is missing");
    CHECK_STR(crowd->path, "");
    count = frame(buffer, NGHTTP2_HEADERS, 5, 3,
                  "\x83\x86\x04\x02/x\x01\x01h\x40\x0a"
                  "connection\x01x",
                  23);
    count += headers_frame(buffer + count, 5, NGHTTP2_FLAG_END_STREAM);
    crowd_feed(crowd, buffer, count);
    crowd_take(crowd);
    CHECK_EQ(crowd->result, 0);
    CHECK_EQ(crowd->requests, 1);
    CHECK_EQ(crowd->malformed, 2);
    CHECK_STR(crowd->why, "field \"connection\" is malformed or not allowed here");
    CHECK_STR(crowd->path, "/x");
    CHECK_EQ(h2_streams(crowd->session), 1);
    CHECK(h2_counters(crowd->session)->glitches >= 2);
    CHECK_EQ(h2_counters(crowd->session)->resets_sent, 2);
    crowd_destroy(crowd);
}
