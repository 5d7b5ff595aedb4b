/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of HTTP for a request, against those of nghttp2: the same bytes go to a session of
 * nghttp2 that checks them itself and to one of ours, and what becomes of each stream must be the
 * same. */
#include "h2/rules.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "tests/lib/check.h"

enum {
    CONNECTIONS = 4000,
    REQUESTS = 6, /* of a connection: fewer faults than end it */
    FIELDS_MAX = 16,
    FRAME_BYTES = 1024,
    WORD_BYTES = 24,
};

/* What becomes of a stream. */
struct fate {
    bool requested, ended, reset;
    uint32_t code; /* of the reset */
};

struct side {
    struct fate fates[REQUESTS];
    struct fate *current; /* of the stream whose frames are fed */
};

static struct fate *fate_of(struct side *side, int32_t id)
{
    CHECK(id >= 1 && (id - 1) / 2 < REQUESTS);
    return &side->fates[(id - 1) / 2];
}

/* Notes the RST_STREAM frames of what a side sends. */
static void note_resets(struct side *side, const uint8_t *bytes, size_t count)
{
    for (size_t at = 0; at + 9 <= count;) {
        const uint8_t *head = bytes + at;
        const size_t payload = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];

        if (head[3] == NGHTTP2_RST_STREAM) {
            struct fate *fate = fate_of(side, head[7] << 8 | head[8]);

            fate->reset = true;
            fate->code = head[12];
        }
        CHECK(head[3] != NGHTTP2_GOAWAY);
        at += 9 + payload;
    }
}

/* ---- nghttp2's side ---------------------------------------------------------------- */

static int peer_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct side *side = user;

    (void)session;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        fate_of(side, frame->hd.stream_id)->requested = true;
    if (frame->hd.type <= NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        fate_of(side, frame->hd.stream_id)->ended = true;
    return 0;
}

static int peer_header(nghttp2_session *session, const nghttp2_frame *frame,
                       const uint8_t *name, size_t name_len, const uint8_t *value,
                       size_t value_len, uint8_t flags, void *user)
{
    (void)session, (void)frame, (void)name, (void)name_len;
    (void)value, (void)value_len, (void)flags, (void)user;
    return 0; /* without this callback, nghttp2 checks no field */
}

static nghttp2_session *peer_create(struct side *side)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;

    CHECK_EQ(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, peer_frame);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, peer_header);
    CHECK_EQ(nghttp2_session_server_new(&session, callbacks, side), 0);
    nghttp2_session_callbacks_del(callbacks);
    CHECK_EQ(nghttp2_submit_settings(session, 0, NULL, 0), 0);
    return session;
}

static void peer_take(nghttp2_session *session, struct side *side)
{
    const uint8_t *bytes;
    ssize_t count;

    while ((count = nghttp2_session_mem_send(session, &bytes)) > 0)
        note_resets(side, bytes, (size_t)count);
}

/* ---- our side ---------------------------------------------------------------------- */

static void our_request(void *owner, struct h2_stream *stream,
                        const struct h2_header *fields, size_t count)
{
    struct side *side = owner;

    (void)fields, (void)count;

    side->current->requested = true;
    h2_stream_set_user(stream, side->current);
}

static void our_data(struct h2_stream *stream, const uint8_t *bytes, size_t count)
{
    (void)stream, (void)bytes, (void)count;
}

static void our_end(struct h2_stream *stream)
{
    struct fate *fate = h2_stream_user(stream);

    fate->ended = true;
}

static void our_closed(struct h2_stream *stream, uint32_t code)
{
    (void)stream, (void)code;
}

static void wake(void *waker)
{
    (void)waker;
}

static const struct h2_events events = {
    .request = our_request, .data = our_data, .end = our_end, .closed = our_closed};

static void our_take(struct h2_session *session, struct side *side)
{
    for (;;) {
        struct iovec iov[16];
        uint8_t bytes[4 * FRAME_BYTES];
        size_t count = 16, at = 0;
        struct failure failure;

        CHECK_EQ(h2_produce(session, iov, &count, &failure), 0);
        if (count == 0)
            return;
        for (size_t i = 0; i < count; i++) {
            CHECK(at + iov[i].iov_len <= sizeof(bytes));
            memcpy(bytes + at, iov[i].iov_base, iov[i].iov_len);
            at += iov[i].iov_len;
        }
        note_resets(side, bytes, at);
        h2_produced(session);
    }
}

/* ---- requests ---------------------------------------------------------------------- */

static const char *const names[] = {":method",
                                    ":path",
                                    ":scheme",
                                    ":authority",
                                    "host",
                                    "te",
                                    "x-a",
                                    "cookie",
                                    "content-length",
                                    ":status",
                                    ":",
                                    ":protocol",
                                    "connection",
                                    "proxy-connection",
                                    "transfer-encoding",
                                    "upgrade",
                                    "priority",
                                    "keep-alive",
                                    "X-A",
                                    "x a",
                                    "x:a",
                                    "",
                                    ":x",
                                    "\xc3\xa4"};
static const char *const values[] = {"POST",
                                     "/",
                                     "http",
                                     "h",
                                     "5",
                                     "0",
                                     "05",
                                     "trailers",
                                     "Trailers",
                                     "gzip",
                                     "https",
                                     "HTTP",
                                     "ftp",
                                     "1ftp",
                                     "f+",
                                     "*",
                                     "OPTIONS",
                                     "CONNECT",
                                     "HEAD",
                                     "",
                                     " a",
                                     "a ",
                                     "a\tb",
                                     "\1",
                                     "\xff",
                                     "a b",
                                     "/a\x7f",
                                     "-1",
                                     "+5",
                                     "5a",
                                     "a@b",
                                     "[::1]:80",
                                     "9223372036854775807",
                                     "9223372036854775808"};

enum {
    NAMES = sizeof(names) / sizeof(names[0]),
    VALUES = sizeof(values) / sizeof(values[0]),
};

struct field {
    char name[WORD_BYTES], value[WORD_BYTES];
};

struct fields {
    struct field at[FIELDS_MAX];
    size_t count;
};

static uint32_t draw(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % below;
}

static void put(char *word, const char *text)
{
    memset(word, 0, WORD_BYTES);
    memcpy(word, text, strlen(text));
}

static void add(struct fields *fields, size_t at, const char *name, const char *value)
{
    if (fields->count == FIELDS_MAX)
        return;
    memmove(&fields->at[at + 1], &fields->at[at],
            (fields->count - at) * sizeof(fields->at[0]));
    put(fields->at[at].name, name);
    put(fields->at[at].value, value);
    fields->count++;
}

static struct fields valid_request(void)
{
    struct fields fields = {.count = 0};

    add(&fields, 0, ":method", "POST");
    add(&fields, 1, ":scheme", "http");
    add(&fields, 2, ":path", "/");
    add(&fields, 3, ":authority", "h");
    add(&fields, 4, "te", "trailers");
    return fields;
}

/* Changes one field, or leaves all. */
static void change(struct fields *fields, uint64_t *state)
{
    const size_t at = draw(state, (uint32_t)fields->count + 1);
    struct field *field = &fields->at[at];

    switch (draw(state, 7)) {
    case 0:
        add(fields, at, names[draw(state, NAMES)], values[draw(state, VALUES)]);
        break;
    case 1:
        if (at < fields->count)
            put(field->value, values[draw(state, VALUES)]);
        break;
    case 2:
        if (at < fields->count)
            put(field->name, names[draw(state, NAMES)]);
        break;
    case 3:
        if (at < fields->count) {
            memmove(field, field + 1, (fields->count - at - 1) * sizeof(*field));
            fields->count--;
        }
        break;
    case 4:
        add(fields, fields->count, "content-length", draw(state, 2) ? "5" : "0");
        break;
    default:
        break;
    }
}

/* ---- both sides -------------------------------------------------------------------- */

struct pair {
    nghttp2_session *peer;
    struct h2_session *ours;
    struct side peer_side, our_side;
    nghttp2_hd_deflater *deflater;
};

static void pair_feed(struct pair *pair, const void *bytes, size_t count)
{
    struct failure failure;

    CHECK_EQ(nghttp2_session_mem_recv(pair->peer, bytes, count), (ssize_t)count);
    CHECK_EQ(h2_receive(pair->ours, bytes, count, &failure), 0);
    peer_take(pair->peer, &pair->peer_side);
    our_take(pair->ours, &pair->our_side);
}

static void pair_open(struct pair *pair)
{
    static const char start[] = NGHTTP2_CLIENT_MAGIC "\0\0\0\4\0\0\0\0\0";
    const struct limits limits = limits_default();

    *pair = (struct pair){.deflater = NULL};
    pair->peer = peer_create(&pair->peer_side);
    pair->ours = h2_create(&limits, &events, &pair->our_side, NULL, wake, NULL);
    CHECK(pair->ours);
    CHECK_EQ(nghttp2_hd_deflate_new(&pair->deflater, 4096), 0);
    pair_feed(pair, start, sizeof(start) - 1);
}

static void pair_close(struct pair *pair)
{
    nghttp2_hd_deflate_del(pair->deflater);
    nghttp2_session_del(pair->peer);
    h2_destroy(pair->ours);
}

static size_t head(uint8_t *frame, size_t payload, uint8_t type, bool last, uint32_t id)
{
    const uint8_t flags = (type == NGHTTP2_HEADERS ? NGHTTP2_FLAG_END_HEADERS : 0) |
                          (last ? NGHTTP2_FLAG_END_STREAM : 0);

    memcpy(frame,
           (uint8_t[]){0, (uint8_t)(payload >> 8), (uint8_t)payload, type, flags, 0, 0,
                       (uint8_t)(id >> 8), (uint8_t)id},
           9);
    return 9 + payload;
}

static void send_fields(struct pair *pair, const struct fields *fields, bool last,
                        uint32_t id)
{
    uint8_t frame[FRAME_BYTES];
    nghttp2_nv nv[FIELDS_MAX];
    ssize_t bytes;

    for (size_t i = 0; i < fields->count; i++)
        nv[i] = (nghttp2_nv){
            .name = (uint8_t *)(uintptr_t)fields->at[i].name,
            .namelen = strlen(fields->at[i].name),
            .value = (uint8_t *)(uintptr_t)fields->at[i].value,
            .valuelen = strlen(fields->at[i].value),
        };
    bytes = nghttp2_hd_deflate_hd(pair->deflater, frame + 9, sizeof(frame) - 9, nv,
                                  fields->count);
    CHECK(bytes >= 0);
    pair_feed(pair, frame, head(frame, (size_t)bytes, NGHTTP2_HEADERS, last, id));
}

static void send_data(struct pair *pair, size_t count, bool last, uint32_t id)
{
    uint8_t frame[FRAME_BYTES] = {0};

    pair_feed(pair, frame, head(frame, count, NGHTTP2_DATA, last, id));
}

/* A stream of ours that is reset can have no more frames; nghttp2 may not know it yet. */
static bool is_open(const struct pair *pair, uint32_t id)
{
    return !pair->our_side.fates[(id - 1) / 2].reset;
}

static void send_request(struct pair *pair, const struct fields *fields, uint32_t id,
                         uint64_t *state)
{
    const uint32_t form = draw(state, 5); /* 4: the body does not end */

    pair->our_side.current = fate_of(&pair->our_side, (int32_t)id);
    send_fields(pair, fields, form == 0, id);
    if (form == 0 || !is_open(pair, id))
        return;
    send_data(pair, draw(state, 7), form == 1, id);
    if (form == 1 || form == 4 || !is_open(pair, id))
        return;
    if (form == 2) {
        send_data(pair, draw(state, 7), true, id);
        return;
    }
    struct fields trailers = {.count = 0};

    add(&trailers, 0, "x-a", "1");
    change(&trailers, state);
    for (size_t i = 0; i < trailers.count; i++)
        if (strcmp(trailers.at[i].name, "host") == 0 ||
            strcmp(trailers.at[i].name, "content-length") == 0)
            return;
    send_fields(pair, &trailers, draw(state, 8) > 0, id);
}

CASE(as_nghttp2, "what becomes of a request is what nghttp2's own checks make of it")
{
    uint64_t state = 1;
    unsigned ended = 0, reset = 0;

    for (size_t i = 0; i < CONNECTIONS; i++) {
        struct pair pair;
        struct fields fields = valid_request();

        pair_open(&pair);
        for (uint32_t k = 0; k < REQUESTS; k++) {
            change(&fields, &state);
            send_request(&pair, &fields, 2 * k + 1, &state);
            if (draw(&state, 2))
                fields = valid_request();
        }
        for (size_t k = 0; k < REQUESTS; k++) {
            const struct fate *ours = &pair.our_side.fates[k],
                              *peers = &pair.peer_side.fates[k];

            CHECK_EQ(ours->requested, peers->requested);
            CHECK_EQ(ours->ended, peers->ended);
            CHECK_EQ(ours->reset, peers->reset);
            CHECK_EQ(ours->code, peers->code);
            ended += ours->ended;
            reset += ours->reset;
        }
        pair_close(&pair);
    }
    CHECK(ended > CONNECTIONS && reset > CONNECTIONS);
}

static bool allowed(const char *name, const char *value)
{
    return rules_allow_trailer(
        &(struct h2_header){name, value, strlen(name), strlen(value)});
}

CASE(trailers, "fields that frame or route a message are no trailers")
{
    CHECK(allowed("x-a", "1"));
    CHECK(!allowed("content-length", "1"));
    CHECK(!allowed("host", "h"));
    CHECK(!allowed(":path", "/"));
    CHECK(!allowed("connection", "close"));
    CHECK(!allowed("x-a", " 1"));
}
