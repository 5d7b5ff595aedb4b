#include "h2/fields.h"
#include "tests/unit/h2/pair.h"

/* ---- fixture: a server that counts, fed with raw frames ---- */

struct crowd {
    struct h2_events events;
    struct limits limits;
    struct h2_session *session;
    size_t requests, closed;
    uint8_t output[65536];
    size_t output_bytes;
    struct failure failure;
    int result;
};

static void crowd_request(void *owner, struct h2_stream *stream,
                          const struct h2_header *headers, size_t count)
{
    struct crowd *crowd = owner;

    (void)headers, (void)count;
    crowd->requests++;
    h2_stream_set_user(stream, crowd);
}

static void crowd_data(struct h2_stream *stream, const uint8_t *bytes, size_t count)
{
    (void)bytes;
    h2_credit(stream, count);
}

static void crowd_end(struct h2_stream *stream)
{
    (void)stream;
}

static void crowd_closed(struct h2_stream *stream, uint32_t code)
{
    struct crowd *crowd = h2_stream_user(stream);

    (void)code;
    crowd->closed++;
}

static void crowd_wake(void *waker)
{
    (void)waker;
}

static void crowd_feed(struct crowd *crowd, const void *bytes, size_t count)
{
    if (crowd->result == 0)
        crowd->result = h2_receive(crowd->session, bytes, count, &crowd->failure);
}

/* Takes all output; keeps the first 64 KiB. */
static void crowd_take(struct crowd *crowd)
{
    for (;;) {
        struct iovec iov[16];
        size_t count = 16;

        CHECK_EQ(h2_produce(crowd->session, iov, &count, &crowd->failure), 0);
        if (count == 0)
            return;
        for (size_t i = 0; i < count; i++) {
            size_t room = sizeof(crowd->output) - crowd->output_bytes;
            size_t kept = iov[i].iov_len < room ? iov[i].iov_len : room;

            memcpy(crowd->output + crowd->output_bytes, iov[i].iov_base, kept);
            crowd->output_bytes += kept;
        }
        h2_produced(crowd->session);
    }
}

/* The error code of the last GOAWAY that was sent; NEVER. */
static int64_t goaway_code(const struct crowd *crowd)
{
    int64_t code = NEVER;

    for (size_t at = 0; at + 17 <= crowd->output_bytes;) {
        const uint8_t *f = crowd->output + at;

        if (f[3] == NGHTTP2_GOAWAY)
            code = f[13] << 24 | f[14] << 16 | f[15] << 8 | f[16];
        at += 9 + ((size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2]);
    }
    return code;
}

#define HELLO "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"

static struct crowd *crowd_create(void)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));

    CHECK(crowd);
    crowd->limits = limits_default();
    crowd->events =
        (struct h2_events){crowd_request, NULL, crowd_data, crowd_end, crowd_closed};
    crowd->session = h2_create(&crowd->limits, &crowd->events, crowd, crowd_wake, NULL);
    CHECK(crowd->session);
    crowd_feed(crowd, HELLO, sizeof(HELLO) - 1);
    CHECK_EQ(crowd->result, 0);
    crowd_take(crowd);
    return crowd;
}

static void crowd_destroy(struct crowd *crowd)
{
    h2_destroy(crowd->session);
    CHECK_EQ(crowd->requests, crowd->closed);
    free(crowd);
}

/* A frame with `payload`; at most 100 bytes in all. */
static size_t frame(uint8_t *at, uint8_t type, uint8_t flags, uint32_t stream,
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

static size_t headers_frame(uint8_t *at, uint32_t stream, uint8_t flags)
{
    /* POST http://h/x */
    return frame(at, NGHTTP2_HEADERS, flags | NGHTTP2_FLAG_END_HEADERS, stream,
                 "\x83\x86\x04\x02/x\x01\x01h", 9);
}

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

/* ---- cases: floods ---- */

static void pings(void)
{
    flood(NGHTTP2_PING, 0, 0, "12345678", 8, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void settings(void)
{
    flood(NGHTTP2_SETTINGS, 0, 0, "", 0, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void priorities(void)
{
    flood(NGHTTP2_PRIORITY, 0, 3, "\0\0\0\0\7", 5, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void window_updates(void)
{
    flood(NGHTTP2_WINDOW_UPDATE, 0, 1, "\0\0\0\1", 4, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void empty_data(void)
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

static void rapid_reset(void)
{
    reset_flood(NGHTTP2_RST_STREAM, "\0\0\0\10", 4);
}

static void made_you_reset(void)
{
    reset_flood(NGHTTP2_WINDOW_UPDATE, "\0\0\0\0", 4); /* an increment of 0 */
}

static void queue_unread(void)
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

static void honest_chatter(void)
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

/* ---- cases: limits ---- */

/* A request with `count` more fields, of `value_bytes` each, beside the five. */
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

static void header_count(void)
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

static void header_bytes(void)
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

static void header_bomb(void)
{
    struct pair *pair = pair_create();

    request_with_fields(pair, HEADER_FIELDS_HARD_MAX, 1);
    CHECK_EQ(pair->receive_result, -1);
    CHECK_EQ(pair->call_count, 0);
    CHECK_EQ(pair->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK(h2_over(pair->server));
    pair_destroy(pair);
}

static void stream_limit(void)
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

static void stream_limit_known(void)
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

static void not_http2(void)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));

    CHECK(crowd);
    crowd->limits = limits_default();
    crowd->session = h2_create(&crowd->limits, &crowd->events, crowd, crowd_wake, NULL);
    crowd_feed(crowd, "GET / HTTP/1.1\r\n\r\n", 18);
    CHECK_EQ(crowd->result, -1);
    CHECK(!h2_greeted(crowd->session));
    CHECK_EQ(h2_receive(crowd->session, (const uint8_t *)"x", 1, NULL), -1);
    crowd_take(crowd);
    CHECK(h2_over(crowd->session));
    crowd_destroy(crowd);
}

/* ---- cases: life ---- */

static void opening_words(void)
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

static void drains(void)
{
    struct pair *pair = pair_create();

    pair_request(pair, "/early", 0, false);
    pair_pump(pair);
    h2_drain(pair->server);
    CHECK_EQ(pair->wakes, 1);
    pair_request(pair, "/crossing", 0, false); /* before the client hears of it */
    client_to_server(pair);
    server_to_client(pair);
    CHECK_EQ(pair->goaways, 1);
    CHECK_EQ(pair->goaway_last, INT32_MAX);
    CHECK_EQ(pair->call_count, 2);
    pair_pump(pair); /* the PING's answer brings the second GOAWAY */
    CHECK_EQ(pair->goaways, 2);
    CHECK_EQ(pair->goaway_last, pair->replies[1].id);
    CHECK_EQ(pair->goaway_code, NGHTTP2_NO_ERROR);
    CHECK(!h2_over(pair->server));
    for (size_t i = 0; i < 2; i++) {
        call_respond(&pair->calls[i]);
        call_write(&pair->calls[i], 10, 'x');
        call_finish(&pair->calls[i]);
        pair_pump(pair);
        CHECK_STR(pair->replies[i].grpc_status, "0");
        CHECK_EQ(h2_over(pair->server), i == 1);
    }
    pair_destroy(pair);
}

static void drains_the_deaf(void)
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

static void goodbye(void)
{
    struct pair *pair = pair_create();

    pair_request(pair, "/x", 0, false);
    pair_pump(pair);
    nghttp2_submit_goaway(pair->client, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
    pair_pump(pair);
    CHECK(!h2_over(pair->server));
    call_finish(&pair->calls[0]);
    pair_pump(pair);
    CHECK_STR(pair->replies[0].grpc_status, "0");
    CHECK(h2_over(pair->server));
    pair_destroy(pair);
}

static void survives_bad_streams(void)
{
    struct crowd *crowd = crowd_create();
    uint8_t buffer[200];
    /* No :path; then a forbidden field. */
    size_t count = frame(buffer, NGHTTP2_HEADERS, 5, 1, "\x83\x86", 2);

    count += frame(buffer + count, NGHTTP2_HEADERS, 5, 3,
                   "\x83\x86\x04\x02/x\x01\x01h\x40\x0a"
                   "connection\x01x",
                   23);
    count += headers_frame(buffer + count, 5, NGHTTP2_FLAG_END_STREAM);
    crowd_feed(crowd, buffer, count);
    crowd_take(crowd);
    CHECK_EQ(crowd->result, 0);
    CHECK_EQ(crowd->requests, 1);
    CHECK_EQ(h2_streams(crowd->session), 1);
    CHECK(h2_counters(crowd->session)->glitches >= 2);
    CHECK_EQ(h2_counters(crowd->session)->resets_sent, 2);
    crowd_destroy(crowd);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"the first words are our SETTINGS and the connection's window", opening_words},
        {"a flood of PINGs is cut off", pings},
        {"a flood of SETTINGS is cut off", settings},
        {"a flood of PRIORITY frames is cut off", priorities},
        {"a flood of WINDOW_UPDATEs is cut off", window_updates},
        {"a flood of empty DATA frames is cut off", empty_data},
        {"a flood of streams that the peer resets is cut off", rapid_reset},
        {"a flood of streams that we are made to reset is cut off", made_you_reset},
        {"answers that pile up unread are bounded", queue_unread},
        {"an upload with PINGs and WINDOW_UPDATEs between is none of these",
         honest_chatter},
        {"a hundred fields pass, one more is too large", header_count},
        {"header bytes are counted as the RFC does", header_bytes},
        {"a thousand fields end the connection", header_bomb},
        {"streams above the limit are refused", stream_limit},
        {"they are refused, too, when the peer knew", stream_limit_known},
        {"what is not HTTP/2 is beyond repair", not_http2},
        {"a malformed request costs its stream, not the connection",
         survives_bad_streams},
        {"a drain says GOAWAY twice and serves what crossed it", drains},
        {"a drain need not wait for the peer", drains_the_deaf},
        {"a peer that says GOAWAY still gets its answers", goodbye},
    };
    return CHECK_RUN(cases, argc, argv);
}
