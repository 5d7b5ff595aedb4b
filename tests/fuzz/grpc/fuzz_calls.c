/* SPDX-License-Identifier: Apache-2.0 */
/* Whole gRPC calls: session bytes through h2 and grpc to a service with every kind of
 * method. The first bytes of an input choose how it is cut, what is done meanwhile, and
 * the request that opens stream 1. The rest is either frames, or the bytes of that
 * request's messages. Checked: every call that begins is freed once, a blob has the
 * length that was told, and output comes to an end. */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "async/loop.h"
#include "base/limits.h"
#include "base/peer.h"
#include "grpc/call.h"
#include "h2/session.h"
#include "obs/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

static void must(bool good)
{
    if (!good)
        abort();
}

/* ---- the service ----------------------------------------------------------------------- */

enum { MANY_BYTES = 8 << 10, MANY_MESSAGES = 40, HELD_MAX = 64 };

static size_t begun, freed, held_count;
static struct call *held[HELD_MAX];

struct state {
    uint64_t blob_length, blob_seen;
    unsigned sent;
    bool in_blob;
};

static void begin(struct call *call)
{
    uint8_t value[64];

    begun++;
    metadata_text(&call->headers, "x-a");
    metadata_binary(&call->headers, "x-a-bin", value, sizeof(value));
    call_add_metadata(call, METADATA_HEADERS, "x-b", "c", 1);
}

static void fini(struct call *call)
{
    (void)call;
    freed++;
}

static int echo(struct call *call)
{
    const struct scan_part *root = &call->scan.parts[0];

    return call_write_message(call, root->bytes ? root->bytes : (const uint8_t *)"",
                              root->count);
}

static int end(struct call *call)
{
    call_end(call);
    return 0;
}

static int blob_begin(struct call *call, uint32_t blob, uint64_t length)
{
    struct state *state = call->method_state;

    must(blob == 1 && !state->in_blob);
    state->in_blob = true;
    state->blob_length = length;
    state->blob_seen = 0;
    return 0;
}

static int blob_bytes(struct call *call, uint32_t blob, const uint8_t *bytes,
                      size_t count)
{
    struct state *state = call->method_state;
    volatile uint8_t last = bytes[count - 1];

    (void)blob, (void)last;
    must(state->in_blob);
    state->blob_seen += count;
    return 0;
}

static int blob_end(struct call *call, uint32_t blob)
{
    struct state *state = call->method_state;

    (void)blob;
    must(state->in_blob && state->blob_seen == state->blob_length);
    state->in_blob = false;
    return 0;
}

static int write_many(struct call *call)
{
    static const char zeros[MANY_BYTES];
    struct state *state = call->method_state;

    for (; state->sent < MANY_MESSAGES; state->sent++) {
        if (!call_writable(call))
            return 0;
        if (call_write_message(call, zeros, sizeof(zeros)) < 0)
            return -1;
    }
    call_end(call);
    return 0;
}

static int hold(struct call *call)
{
    if (held_count == HELD_MAX)
        return fail(&call->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "too many");
    call_hold(call);
    held[held_count++] = call;
    return 0;
}

/* What their workers would have done comes back. */
static void release_held(void)
{
    while (held_count > 0) {
        struct call *call = held[--held_count];

        if (call->state == CALL_WORKING)
            call_end(call);
        call_release(call);
    }
}

static const struct scan_field plain[] = {{0}};
static const struct scan_field with_blob[] = {{1, 1, NULL}, {0}};
static const struct scan_field inner[] = {{2, 1, NULL}, {0}};
static const struct scan_field nested[] = {{3, 1, inner}, {0}};

#define METHOD(name, ...)                                                                \
    static const struct method name = {                                                  \
        .state_bytes = sizeof(struct state), .begin = begin, .fini = fini, __VA_ARGS__}
#define BLOBS .blob_begin = blob_begin, .blob_bytes = blob_bytes, .blob_end = blob_end

METHOD(method_echo, .path = "/t/E", .scan = plain, .message = echo, .request = end);
METHOD(method_chat, .path = "/t/C", .scan = plain, .streaming = true, .message = echo,
       .request = end);
METHOD(method_blob, .path = "/t/B", .scan = with_blob, BLOBS, .request = end);
METHOD(method_nested, .path = "/t/N", .scan = nested, .streaming = true, BLOBS,
       .request = end);
METHOD(method_many, .path = "/t/M", .scan = plain, .request = write_many,
       .writable = write_many);
METHOD(method_hold, .path = "/t/H", .scan = plain, .request = hold);

static const struct method *const methods[] = {
    &method_echo, &method_chat, &method_blob, &method_nested, &method_many, &method_hold};
enum { METHODS = sizeof(methods) / sizeof(methods[0]) };

/* ---- the server, made once ---------------------------------------------------------------- */

static uv_loop_t loop;
static struct limits limits;
static struct grpc *server;

static void open_server(void)
{
    static const char *labels[METHODS];
    struct failure failure = {.status = TRIT_OK};
    struct grpc_config config = {
        .limits = &limits, .methods = methods, .method_count = METHODS};

    limits = limits_default();
    limits.message_bytes_max = 1 << 20;
    for (size_t i = 0; i < METHODS; i++)
        labels[i] = methods[i]->path;
    must(uv_loop_init(&loop) == 0);
    must(timers_create(&config.timers, &loop, &failure) == 0);
    config.metrics = metrics_create(labels, METHODS, "0", "none");
    must(grpc_create(&server, &config, &failure) == 0);
}

/* ---- an input -------------------------------------------------------------------------------- */

enum habit {
    MESSAGES = 1, /* the rest are bytes of stream 1 */
    OUTPUT = 2,   /* output is taken after each step */
    RELEASE = 4,  /* held calls end meanwhile */
    DRAIN = 8,    /* GOAWAY in the middle */
    WINDOWS = 16, /* the peer's windows are open */
    END = 32,     /* END_STREAM at the end of the messages */
};

static void wake(void *waker)
{
    (void)waker;
}

static void take_output(struct h2_session *session)
{
    for (int i = 0;; i++) {
        struct iovec iov[8];
        size_t count = 8;

        must(i < 100000);
        if (h2_produce(session, iov, &count, NULL) != 0)
            return;
        if (count > 0)
            h2_produced(session);
        else if (h2_has_uploads_to_stop(session))
            h2_stop_uploads(session);
        else
            return;
    }
}

static size_t put_frame(uint8_t *at, uint8_t type, uint8_t flags, uint32_t stream,
                        const void *payload, size_t count)
{
    const uint8_t head[] = {(uint8_t)(count >> 16),
                            (uint8_t)(count >> 8),
                            (uint8_t)count,
                            type,
                            flags,
                            0,
                            0,
                            0,
                            (uint8_t)stream};

    memcpy(at, head, sizeof(head));
    if (count > 0)
        memcpy(at + sizeof(head), payload, count);
    return sizeof(head) + count;
}

static size_t put_field(uint8_t *at, const char *name, const char *value)
{
    const size_t name_len = strlen(name), value_len = strlen(value);

    at[0] = 0;
    at[1] = (uint8_t)name_len;
    memcpy(at + 2, name, name_len);
    at[2 + name_len] = (uint8_t)value_len;
    memcpy(at + 3 + name_len, value, value_len);
    return 3 + name_len + value_len;
}

/* The HEADERS of a good request; bits of `kind` choose method and fields. */
static size_t put_request(uint8_t *at, uint8_t kind)
{
    uint8_t block[512];
    size_t count = 0;

    count += put_field(block + count, ":method", "POST");
    count += put_field(block + count, ":scheme", "http");
    count += put_field(block + count, ":path", methods[kind % METHODS]->path);
    count += put_field(block + count, ":authority", "h");
    count += put_field(block + count, "te", "trailers");
    count += put_field(block + count, "content-type", "application/grpc");
    if (kind & 16)
        count +=
            put_field(block + count, "grpc-encoding", kind & 32 ? "gzip" : "deflate");
    if (kind & 64)
        count += put_field(block + count, "grpc-accept-encoding", "gzip");
    if (kind & 128)
        count += put_field(block + count, "x-a-bin", "AAE=,Ag");
    return put_frame(at, 1, 4, 1, block, count);
}

/* Settings that open the windows, or none, and the request of stream 1. */
static void greet(struct h2_session *session, unsigned habit, uint8_t kind)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static const uint8_t wide[] = {0, 4, 0x7f, 0xff, 0xff, 0xff};
    static const uint8_t more[] = {0x7f, 0, 0, 0};
    uint8_t all[1024];
    size_t count = sizeof(preface) - 1;

    memcpy(all, preface, count);
    count += put_frame(all + count, 4, 0, 0, wide, habit & WINDOWS ? sizeof(wide) : 0);
    if (habit & WINDOWS)
        count += put_frame(all + count, 8, 0, 0, more, sizeof(more));
    count += put_request(all + count, kind);
    h2_receive(session, all, count, NULL);
}

static int receive(struct h2_session *session, unsigned habit, const uint8_t *bytes,
                   size_t count, bool last)
{
    uint8_t frame[9 + 16384];
    size_t used;

    if (!(habit & MESSAGES))
        return h2_receive(session, bytes, count, NULL);
    used = put_frame(frame, 0, habit & END && last ? 1 : 0, 1, bytes, count);
    return h2_receive(session, frame, used, NULL);
}

static void feed(struct h2_session *session, unsigned habit, const uint8_t *bytes,
                 size_t count, size_t step)
{
    for (size_t at = 0; at < count; at += step) {
        const size_t now = count - at < step ? count - at : step;

        if (receive(session, habit, bytes + at, now, at + now == count) != 0)
            return;
        uv_run(&loop, UV_RUN_NOWAIT);
        if (habit & OUTPUT)
            take_output(session);
        if (habit & RELEASE)
            release_held();
        if (habit & DRAIN && at > count / 2)
            h2_drain(session);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
    static const struct peer peer = {.address = "192.0.2.1:1"};
    struct h2_session *session;
    size_t step;

    if (bytes < 4)
        return 0;
    if (!server)
        open_server();
    begun = freed = 0;
    session = h2_create(&limits, grpc_events(), server, &peer, wake, NULL);
    must(session);
    greet(session, input[0], input[2]);
    step = input[1] ? (size_t)input[1] * 4 : 16384;
    feed(session, input[0], input + 3, bytes - 3, step);
    uv_run(&loop, UV_RUN_NOWAIT);
    take_output(session);
    uv_run(&loop, UV_RUN_NOWAIT);
    take_output(session);
    h2_destroy(session);
    release_held();
    must(begun == freed);
    return 0;
}
