/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/account.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/peer.h"
#include "grpc/call.h"
#include "grpc/http_refusal.h"
#include "grpc/rate.h"
#include "grpc/request_input.h"
#include "grpc/trailers.h"
#include "obs/metrics.h"
#include "proto/utf8.h"

/* The happy path: request() makes the call and arms its timer; data() feeds the
 * deframer and the scan and tells the method; end() closes the request; the
 * method answers with call_write and call_end; closed() frees.
 *
 * Failures. Malformed headers, or a caller who may not call: no call is made, the stream
 * is answered at once (refuse). Anything the method refuses, and the deadline: call_end with the
 * failure; bytes that still come are ignored until the stream closes. Reset or
 * lost connection: closed() comes first; the call lives on without a stream
 * until its jobs are back. */

static void closed(struct h2_stream *stream, uint32_t error_code)
{
    struct call *call = h2_stream_user(stream);

    if (!call)
        return;
    if (call->state != CALL_ENDED) {
        fail(&call->failure, TRIT_CANCELLED, NULL,
             "the stream was closed with HTTP/2 code %u", (unsigned)error_code);
        call_log_end(call);
        call_cancel(call);
    }
    state_move(&call_states, &call->state, CALL_CLOSED);
    call->stream = NULL;
    timer_disarm(call->config->timers, &call->timer);
    timer_disarm(call->config->timers, &call->resume);
    input_fini(call);
    call_free_if_done(call);
}

/* ---- deadlines and stalls -------------------------------------------------- */

static void arm(struct call *call)
{
    uint64_t idle = call->active_ns + call->config->limits->idle_ms_max * 1000000u;
    bool timed = call->deadline_ns && call->state != CALL_ENDED;
    uint64_t due = timed ? u64_min(call->deadline_ns, idle) : idle;

    timer_arm(call->config->timers, &call->timer, u64_min(due, rate_due_ns(call)));
}

/* True when the peer takes nothing of what is queued for it. */
static bool reader_stalled(struct call *call)
{
    size_t queued = h2_stream_queued(call->stream);
    bool stalled = queued > 0 && queued == call->queued_seen;

    call->queued_seen = queued;
    return stalled;
}

static void end_slow(struct call *call, enum rate_verdict rate)
{
    const struct limits *limits = call->config->limits;

    metric_limit(call->config->metrics, L_RATE);
    fail(&call->failure, TRIT_CANCELLED, NULL,
         "the peer %s less than rate_bytes_min = %" PRIu64
         " bytes a second over rate_ms = %" PRIu64 " ms",
         rate == RATE_SLOW_READER ? "took" : "sent", limits->rate_bytes_min,
         limits->rate_ms);
    if (rate == RATE_SLOW_READER)
        h2_reset(call->stream, HTTP2_CANCEL); /* it would not read a status either */
    else
        call_end(call);
}

/* The timer is not moved at every byte: when it fires early, it is armed anew. */
static void timer_fired(struct timer *timer)
{
    struct call *call = LIST_OWNER(timer, struct call, timer);
    const struct limits *limits = call->config->limits;
    uint64_t now = clock_monotonic_ns();
    bool quiet = now - call->active_ns >= limits->idle_ms_max * 1000000u;
    enum rate_verdict rate = rate_check(call, now);

    if (call->state != CALL_ENDED && call->deadline_ns && now >= call->deadline_ns) {
        fail(&call->failure, TRIT_DEADLINE_EXCEEDED, NULL,
             "the deadline passed after %" PRIu64 " ms",
             (uint64_t)((now - call->started_ns) / 1000000u));
        call_end(call);
    } else if (rate != RATE_GOOD) {
        end_slow(call, rate);
    } else if (quiet && reader_stalled(call)) {
        metric_limit(call->config->metrics, L_IDLE);
        h2_reset(call->stream, HTTP2_CANCEL);
    } else if (quiet && call->state == CALL_RECEIVING) {
        metric_limit(call->config->metrics, L_IDLE);
        fail(&call->failure, TRIT_CANCELLED, NULL,
             "no byte came for idle_ms_max = %" PRIu64 " ms", limits->idle_ms_max);
        call_end(call);
    } else {
        call->active_ns = quiet ? now : call->active_ns;
        arm(call);
    }
}

/* ---- held bytes, waiting replies ----------------------------------------------- */

static void resume_fired(struct timer *timer)
{
    struct call *call = LIST_OWNER(timer, struct call, resume);

    if (call->state == CALL_ENDED || call->state == CALL_CLOSED)
        return;
    call->throttle &= ~(uint32_t)THROTTLE_TURN;
    call->decoded.turn_bytes = 0;
    if (call->awaits_writable &&
        h2_stream_queued(call->stream) <= REPLY_QUEUE_BYTES_MAX / 2) {
        call->awaits_writable = false;
        call->throttle &= ~(uint32_t)THROTTLE_REPLY;
        if (call->method->writable && call->method->writable(call) < 0) {
            call_end(call);
            return;
        }
    }
    input_resume(call);
    call_give_credit(call);
}

/* A request, as its headers describe it. */
struct asked {
    struct request_headers headers;
    const char *verb, *path, *content_type, *timeout, *encoding, *accept_encoding,
        *authorization;
    const struct method *method;
    char caller[CALLER_NAME_BYTES];
    size_t method_id;
    enum coding request_coding, reply_coding;
    uint64_t started_ns, timeout_ns;
};

/* Counts and logs a request for which no call is made. */
static void log_refusal(struct grpc *grpc, struct h2_stream *stream,
                        const struct asked *asked, const struct failure *failure)
{
    enum { PATH_BYTES_MAX = 200 }; /* in the log, of what a peer sent */
    char path[PATH_BYTES_MAX + 1];
    size_t length = strnlen(asked->path, PATH_BYTES_MAX + 1);
    struct call_trace trace;
    const struct call_ended ended = {
        .path = path,
        .method_id = asked->method_id,
        .started_ns = asked->started_ns,
        .failure = failure,
        .peer = h2_stream_peer(stream),
        .trace = &trace,
    };

    if (length > PATH_BYTES_MAX)
        length = utf8_cut(asked->path, PATH_BYTES_MAX);
    memcpy(path, asked->path, length);
    path[length] = '\0';
    call_trace_read(&trace, &asked->headers, asked->caller);
    call_trace_end(&grpc->config, &ended);
}

/* Ends the stream of a request for which no call is made. */
static void refuse(struct grpc *grpc, struct h2_stream *stream, const struct asked *asked,
                   const struct failure *failure)
{
    struct trailers trailers;

    trailers_build(&trailers, failure, NULL, true);
    h2_finish(stream, trailers.fields, trailers.count);
    log_refusal(grpc, stream, asked, failure);
}

/* What is not gRPC gets the answer of a web server. */
static void reject_http(struct grpc *grpc, struct h2_stream *stream,
                        const struct asked *asked, int http_status, const char *why)
{
    struct failure failure = {.status = TRIT_OK};

    fail(&failure, status_from_http(http_status), NULL, "HTTP %d: %s", http_status, why);
    log_refusal(grpc, stream, asked, &failure);
    http_refuse(stream, http_status, why,
                !asked->verb || strcmp(asked->verb, "HEAD") != 0);
}

static struct call *call_create(struct grpc *grpc, struct h2_stream *stream,
                                const struct asked *asked)
{
    const struct method *method = asked->method;
    const struct peer *peer = h2_stream_peer(stream);
    struct account *account = peer ? peer->account : NULL;
    const size_t bytes = call_bytes(method);
    struct call *call =
        spares_get(&grpc->spares, account, bytes, offsetof(struct call, trace));

    if (!call)
        return NULL;
    failure_clear(&call->failure);
    call->method_state = (uint8_t *)call + call_bytes(NULL);
    memset(call->method_state, 0, method->state_bytes - method->state_tail);
    call->account = account;
    call->grpc = grpc;
    call->config = &grpc->config;
    call->service = grpc->config.service;
    call->stream = stream;
    call->method = method;
    call->method_id = asked->method_id;
    call->started_ns = call->active_ns = call->rate.begin_ns = asked->started_ns;
    timer_init(&call->timer, timer_fired);
    timer_init(&call->resume, resume_fired);
    deframer_init(&call->deframer);
    list_push(&grpc->calls, &call->link);
    grpc->call_count++;
    h2_stream_set_user(stream, call);
    metric_up(grpc->config.metrics, M_STREAMS);
    metric_call_begin(grpc->config.metrics, asked->method_id);
    grpc_observe(grpc);
    return call;
}

static int no_memory(const struct grpc_config *config, struct failure *failure)
{
    metric_limit(config->metrics, L_MEMORY);
    failure->retry_ms = MEMORY_RETRY_MS;
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "this connection's share of the memory budget memory_bytes_max is used "
                "up; try again later");
}

/* "application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8". Messages
 * of another format, as in "application/grpc+json", could not be read. */
static bool is_grpc(const char *content_type)
{
    static const char grpc_type[] = "application/grpc", proto[] = "+proto";
    size_t length = sizeof(grpc_type) - 1;

    if (!content_type || strncmp(content_type, grpc_type, length) != 0)
        return false;
    if (strncmp(content_type + length, proto, sizeof(proto) - 1) == 0)
        length += sizeof(proto) - 1;
    return content_type[length] == '\0' || strchr("; ", content_type[length]);
}

/* The checks before a call is created. Who may call is the first of them, so that a
 * stranger learns nothing else. */
static int check_request(const struct grpc_config *config, struct asked *asked,
                         const struct peer *peer, struct failure *failure)
{
    asked->method = method_find(config->methods, config->method_count, asked->path,
                                &asked->method_id);
    if (!asked->method)
        return fail(failure, TRIT_UNIMPLEMENTED, NULL, "%s: no such method", asked->path);
    if (config->authorize &&
        config->authorize(config->authorize_arg, asked->method, peer,
                          asked->authorization, asked->caller, failure) < 0)
        return -1;
    asked->request_coding =
        asked->encoding ? coding_parse(asked->encoding) : CODING_IDENTITY;
    if (asked->request_coding == CODING_UNKNOWN)
        return fail(failure, TRIT_UNIMPLEMENTED, NULL,
                    "grpc-encoding: %s is not supported, use one of %s", asked->encoding,
                    CODINGS_SUPPORTED);
    if (asked->timeout && timeout_parse(asked->timeout, &asked->timeout_ns) < 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "grpc-timeout: not up to 8 digits and a unit");
    /* Its client waits no more, so nothing is computed or stored for it. */
    if (asked->timeout && asked->timeout_ns <= clock_monotonic_ns() - asked->started_ns)
        return fail(failure, TRIT_DEADLINE_EXCEEDED, NULL,
                    "the deadline had passed when the request came: grpc-timeout is %s",
                    asked->timeout);
    return 0;
}

/* Notes the value of a field, if it is the first one of this name. */
static void read_field(const char **value, const struct h2_header *field,
                       const char *name)
{
    if (!*value && memcmp(field->name, name, field->name_len) == 0)
        *value = field->value;
}

/* Finds the fields in one pass: names are compared where their lengths are equal. */
static void read_fields(struct asked *asked)
{
    for (size_t i = 0; i < asked->headers.count; i++) {
        const struct h2_header *field = &asked->headers.fields[i];

        switch (field->name_len) {
        case sizeof(":path") - 1:
            read_field(&asked->path, field, ":path");
            break;
        case sizeof(":method") - 1:
            read_field(&asked->verb, field, ":method");
            break;
        case sizeof("content-type") - 1: /* and of grpc-timeout */
            read_field(&asked->content_type, field, "content-type");
            read_field(&asked->timeout, field, "grpc-timeout");
            break;
        case sizeof("authorization") - 1: /* and of grpc-encoding */
            read_field(&asked->authorization, field, "authorization");
            read_field(&asked->encoding, field, "grpc-encoding");
            break;
        case sizeof("grpc-accept-encoding") - 1:
            read_field(&asked->accept_encoding, field, "grpc-accept-encoding");
            break;
        }
    }
    asked->path = asked->path ? asked->path : "";
    asked->reply_coding = coding_choose(asked->accept_encoding);
}

static void begin(struct call *call, const struct asked *asked)
{
    call->request_coding = asked->request_coding;
    call->reply_coding = asked->reply_coding;
    /* a timeout of centuries is none */
    if (asked->timeout && asked->timeout_ns <= UINT64_MAX - call->started_ns)
        call->deadline_ns = call->started_ns + asked->timeout_ns;
    arm(call);
    call_trace_read(&call->trace, &asked->headers, asked->caller);
    call->headers = asked->headers;
    if (call->method->begin)
        call->method->begin(call);
    call->headers = (struct request_headers){0};
}

static void request(void *owner, struct h2_stream *stream, const struct h2_header *fields,
                    size_t count)
{
    struct grpc *grpc = owner;
    struct failure failure;
    struct asked asked = {
        .headers = {fields, count},
        .method_id = grpc->config.method_count,
        .started_ns = clock_monotonic_ns(),
    };
    struct call *call = NULL;

    failure_clear(&failure);
    read_fields(&asked);
    if (!asked.verb || strcmp(asked.verb, "POST") != 0) {
        reject_http(grpc, stream, &asked, 405, "gRPC requests are POST");
        return;
    }
    if (!is_grpc(asked.content_type)) {
        reject_http(grpc, stream, &asked, 415,
                    "the content-type is neither application/grpc nor "
                    "application/grpc+proto");
        return;
    }
    if (check_request(&grpc->config, &asked, h2_stream_peer(stream), &failure) == 0) {
        call = call_create(grpc, stream, &asked);
        if (!call)
            no_memory(&grpc->config, &failure);
    }
    if (call)
        begin(call, &asked);
    else
        refuse(grpc, stream, &asked, &failure);
}

static void request_too_large(void *owner, struct h2_stream *stream)
{
    struct grpc *grpc = owner;
    struct failure failure = {.status = TRIT_OK};
    const struct asked asked = {
        .path = "",
        .method_id = grpc->config.method_count,
        .started_ns = clock_monotonic_ns(),
    };

    if (h2_stream_no_memory(stream)) {
        no_memory(&grpc->config, &failure);
    } else {
        metric_limit(grpc->config.metrics, L_HEADERS);
        fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL,
             "the request's headers exceed 100 fields or 16384 bytes");
    }
    refuse(grpc, stream, &asked, &failure);
}

static void malformed(void *owner, struct h2_stream *stream,
                      const struct h2_header *fields, size_t count, const char *why)
{
    struct grpc *grpc = owner;
    const struct request_headers headers = {fields, count};
    const char *path = header_value(&headers, ":path");
    struct failure failure = {.status = TRIT_OK};
    const struct asked asked = {
        .headers = headers,
        .path = path ? path : "",
        .method_id = grpc->config.method_count,
        .started_ns = clock_monotonic_ns(),
    };

    /* as clients understand a reset with PROTOCOL_ERROR */
    fail(&failure, TRIT_INTERNAL, NULL, "malformed request: %s", why);
    log_refusal(grpc, stream, &asked, &failure);
}

/* ---- the request's bytes ------------------------------------------------------- */

static void data(struct h2_stream *stream, const uint8_t *bytes, size_t count)
{
    struct call *call = h2_stream_user(stream);

    if (!call || call->state != CALL_RECEIVING)
        return;
    call->active_ns = clock_tick_ns();
    call->rate.received += count;
    input_take(call, bytes, count);
}

static void end(struct h2_stream *stream)
{
    struct call *call = h2_stream_user(stream);

    if (call && call->state == CALL_RECEIVING)
        input_end(call);
}

static const struct h2_events call_events = {
    .request = request,
    .request_too_large = request_too_large,
    .malformed = malformed,
    .data = data,
    .end = end,
    .closed = closed,
};

const struct h2_events *grpc_events(void)
{
    return &call_events;
}
