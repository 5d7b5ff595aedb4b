/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void answer(struct h2_stream *stream)
{
    const struct h2_header status = {"grpc-status", "0", 11, 1};

    CHECK_EQ(h2_finish(stream, &status, 1), 0);
}

static void crowd_request(void *owner, struct h2_stream *stream,
                          const struct h2_header *headers, size_t count)
{
    struct crowd *crowd = owner;

    (void)headers, (void)count;
    crowd->requests++;
    h2_stream_set_user(stream, crowd);
    if (crowd->answers == ANSWERS_EARLY)
        answer(stream);
}

static void crowd_malformed(void *owner, struct h2_stream *stream,
                            const struct h2_header *headers, size_t count,
                            const char *why)
{
    struct crowd *crowd = owner;

    (void)stream;
    crowd->malformed++;
    crowd->path[0] = '\0';
    for (size_t i = 0; i < count; i++)
        if (strcmp(headers[i].name, ":path") == 0)
            snprintf(crowd->path, sizeof(crowd->path), "%s", headers[i].value);
    snprintf(crowd->why, sizeof(crowd->why), "%s", why);
}

static void crowd_data(struct h2_stream *stream, const uint8_t *bytes, size_t count)
{
    struct crowd *crowd = h2_stream_user(stream);

    crowd->body_bytes += count;
    (void)bytes;
    h2_credit(stream, count);
}

static void crowd_end(struct h2_stream *stream)
{
    const struct crowd *crowd = h2_stream_user(stream);

    if (crowd->answers == ANSWERS_AT_END)
        answer(stream);
}

static void crowd_closed(struct h2_stream *stream, uint32_t code)
{
    struct crowd *crowd = h2_stream_user(stream);

    (void)code;
    crowd->closed++;
}

void crowd_wake(void *waker)
{
    (void)waker;
}

void crowd_feed(struct crowd *crowd, const void *bytes, size_t count)
{
    if (crowd->result == 0)
        crowd->result = h2_receive(crowd->session, bytes, count, &crowd->failure);
}

void crowd_take(struct crowd *crowd)
{
    for (;;) {
        struct iovec iov[16];
        size_t count = 16;

        CHECK_EQ(h2_produce(crowd->session, iov, &count, &crowd->failure), 0);
        if (count == 0)
            return;
        for (size_t i = 0; i < count; i++) {
            size_t left = sizeof(crowd->output) - crowd->output_bytes;
            size_t kept = iov[i].iov_len < left ? iov[i].iov_len : left;

            memcpy(crowd->output + crowd->output_bytes, iov[i].iov_base, kept);
            crowd->output_bytes += kept;
        }
        h2_produced(crowd->session);
    }
}

/* The last frame of this type on this stream; NULL. */
static const uint8_t *sent(const struct crowd *crowd, uint8_t type, uint32_t stream)
{
    const uint8_t *found = NULL;

    for (size_t at = 0; at + 9 <= crowd->output_bytes;) {
        const uint8_t *f = crowd->output + at;
        size_t bytes = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];

        if (f[3] == type && big_endian(f + 5) == stream &&
            at + 9 + bytes <= crowd->output_bytes)
            found = f;
        at += 9 + bytes;
    }
    return found;
}

int64_t goaway_code(const struct crowd *crowd)
{
    const uint8_t *goaway = sent(crowd, NGHTTP2_GOAWAY, 0);

    return goaway ? (int64_t)big_endian(goaway + 13) : NO_FRAME;
}

int64_t reset_code(const struct crowd *crowd, uint32_t stream)
{
    const uint8_t *reset = sent(crowd, NGHTTP2_RST_STREAM, stream);

    return reset ? (int64_t)big_endian(reset + 9) : NO_FRAME;
}

struct crowd *crowd_create(void)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));

    CHECK(crowd);
    crowd->limits = limits_default();
    crowd->events = (struct h2_events){
        .request = crowd_request,
        .malformed = crowd_malformed,
        .data = crowd_data,
        .end = crowd_end,
        .closed = crowd_closed,
    };
    crowd->session =
        h2_create(&crowd->limits, &crowd->events, crowd, NULL, crowd_wake, NULL);
    CHECK(crowd->session);
    crowd_feed(crowd, HELLO, sizeof(HELLO) - 1);
    CHECK_EQ(crowd->result, 0);
    crowd_take(crowd);
    return crowd;
}

void crowd_destroy(struct crowd *crowd)
{
    h2_destroy(crowd->session);
    CHECK_EQ(crowd->requests, crowd->closed);
    free(crowd);
}

size_t frame(uint8_t *at, uint8_t type, uint8_t flags, uint32_t stream,
             const char *payload, size_t bytes)
{
    const uint8_t head[9] = {0,
                             0,
                             (uint8_t)bytes,
                             type,
                             flags,
                             (uint8_t)(stream >> 24),
                             (uint8_t)(stream >> 16),
                             (uint8_t)(stream >> 8),
                             (uint8_t)stream};

    memcpy(at, head, sizeof(head));
    memcpy(at + sizeof(head), payload, bytes);
    return sizeof(head) + bytes;
}

size_t headers_frame(uint8_t *at, uint32_t stream, uint8_t flags)
{
    return frame(at, NGHTTP2_HEADERS, flags | NGHTTP2_FLAG_END_HEADERS, stream,
                 "\x83\x86\x04\x02/x\x01\x01h", 9);
}
