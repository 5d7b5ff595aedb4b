/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/account.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/peer.h"
#include "grpc/call.h"
#include "grpc/request_reader.h"
#include "grpc/trailers.h"
#include "obs/metrics.h"

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
        call_log_end(call, TRIT_CANCELLED);
        call_cancel(call);
    }
    state_move(&call_states, &call->state, CALL_CLOSED);
    call->stream = NULL;
    timer_disarm(call->config->timers, &call->timer);
    call_free_if_done(call);
}

/* ---- deadlines and stalls -------------------------------------------------- */

static void arm(struct call *call)
{
    uint64_t idle = call->active_ns + call->config->limits->idle_ms_max * 1000000u;
    bool timed = call->deadline_ns && call->state != CALL_ENDED;
    uint64_t due = timed ? u64_min(call->deadline_ns, idle) : idle;

    timer_arm(call->config->timers, &call->timer, due);
}

/* True when the peer takes nothing of what is queued for it. */
static bool reader_stalled(struct call *call)
{
    size_t queued = h2_stream_queued(call->stream);
    bool stalled = queued > 0 && queued == call->queued_seen;

    call->queued_seen = queued;
    return stalled;
}

/* The timer is not moved at every byte: when it fires early, it is armed anew. */
static void timer_fired(struct timer *timer)
{
    struct call *call = LIST_OWNER(timer, struct call, timer);
    const struct limits *limits = call->config->limits;
    uint64_t now = clock_monotonic_ns();
    bool quiet = now - call->active_ns >= limits->idle_ms_max * 1000000u;

    if (call->state != CALL_ENDED && call->deadline_ns && now >= call->deadline_ns) {
        fail(&call->failure, TRIT_DEADLINE_EXCEEDED, NULL,
             "the deadline passed after %" PRIu64 " ms",
             (uint64_t)((now - call->started_ns) / 1000000u));
        call_end(call);
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

/* ---- the request's headers --------------------------------------------------- */

static const char *header(const struct h2_header *headers, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(headers[i].name, name) == 0)
            return headers[i].value;
    return NULL;
}

/* Ends the stream of a request for which no call is made. `method_id` that of no method:
 * the path is unknown. */
static void refuse(struct grpc *grpc, struct h2_stream *stream, const char *path,
                   size_t method_id, uint64_t started_ns, const struct failure *failure)
{
    bool accept = failure->status == TRIT_UNIMPLEMENTED &&
                  method_id < grpc->config.method_count; /* a compression is unknown */
    struct trailers trailers;

    trailers_build(&trailers, failure, true, accept);
    h2_finish(stream, trailers.fields, trailers.count);
    call_log_refusal(&grpc->config, method_id, path, started_ns, failure);
}

static void reject_http(struct h2_stream *stream, int http_status)
{
    static const struct h2_header text = {"content-type", "text/plain", 12, 10};

    h2_respond(stream, http_status, &text, 1);
    h2_finish(stream, NULL, 0);
}

static struct call *call_create(struct grpc *grpc, struct h2_stream *stream,
                                const struct method *method, size_t method_id)
{
    const struct peer *peer = h2_stream_peer(stream);
    struct account *account = peer ? peer->account : NULL;
    struct call *call = account_calloc(account, 1, sizeof(*call));

    if (!call)
        return NULL;
    call->method_state =
        account_calloc(account, 1, method->state_bytes ? method->state_bytes : 1);
    if (!call->method_state) {
        account_free(account, call);
        return NULL;
    }
    call->account = account;
    call->grpc = grpc;
    call->config = &grpc->config;
    call->service = grpc->config.service;
    call->stream = stream;
    call->method = method;
    call->method_id = method_id;
    call->started_ns = call->active_ns = clock_monotonic_ns();
    timer_init(&call->timer, timer_fired);
    deframer_init(&call->deframer);
    list_push(&grpc->calls, &call->link);
    grpc->call_count++;
    h2_stream_set_user(stream, call);
    metric_up(grpc->config.metrics, M_STREAMS);
    grpc_observe(grpc);
    return call;
}

static int no_memory(const struct grpc_config *config, struct failure *failure)
{
    metric_limit(config->metrics, L_MEMORY);
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "this connection's share of the memory budget memory_bytes_max is used "
                "up; try again later");
}

/* A request, as its headers describe it. */
struct asked {
    const char *path, *timeout, *encoding, *authorization;
    const struct method *method;
    size_t method_id;
    uint64_t started_ns, timeout_ns;
};

/* The checks before a call is created. Who may call is the first of them, so that a
 * stranger learns nothing else. */
static int check_request(const struct grpc_config *config, struct asked *asked,
                         const struct peer *peer, struct failure *failure)
{
    asked->method_id = config->method_count;
    if (asked->path)
        asked->method = method_find(config->methods, config->method_count, asked->path,
                                    &asked->method_id);
    if (!asked->method)
        return fail(failure, TRIT_UNIMPLEMENTED, NULL, "%s",
                    asked->path ? asked->path : "no :path");
    if (config->authorize && config->authorize(config->authorize_arg, asked->method, peer,
                                               asked->authorization, failure) < 0)
        return -1;
    if (asked->encoding && strcmp(asked->encoding, "identity") != 0)
        return fail(failure, TRIT_UNIMPLEMENTED, NULL,
                    "grpc-encoding: only identity is supported");
    if (asked->timeout && timeout_parse(asked->timeout, &asked->timeout_ns) < 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "grpc-timeout: not up to 8 digits and a unit");
    return 0;
}

static void request(void *owner, struct h2_stream *stream,
                    const struct h2_header *headers, size_t count)
{
    struct grpc *grpc = owner;
    const char *verb = header(headers, count, ":method");
    const char *type = header(headers, count, "content-type");
    struct failure failure = {.status = TRIT_OK};
    struct asked asked = {
        .path = header(headers, count, ":path"),
        .timeout = header(headers, count, "grpc-timeout"),
        .encoding = header(headers, count, "grpc-encoding"),
        .authorization = header(headers, count, "authorization"),
        .started_ns = clock_monotonic_ns(),
    };
    struct call *call = NULL;

    if (!verb || strcmp(verb, "POST") != 0) {
        reject_http(stream, 405);
        return;
    }
    if (!type || strncmp(type, "application/grpc", 16) != 0) {
        reject_http(stream, 415);
        return;
    }
    if (check_request(&grpc->config, &asked, h2_stream_peer(stream), &failure) == 0) {
        call = call_create(grpc, stream, asked.method, asked.method_id);
        if (!call)
            no_memory(&grpc->config, &failure);
    }
    if (!call) {
        refuse(grpc, stream, asked.path ? asked.path : "", asked.method_id,
               asked.started_ns, &failure);
        return;
    }
    call->deadline_ns = asked.timeout ? call->started_ns + asked.timeout_ns : 0;
    arm(call);
    if (asked.method->begin)
        asked.method->begin(call);
}

static void request_too_large(void *owner, struct h2_stream *stream)
{
    struct grpc *grpc = owner;
    struct failure failure = {.status = TRIT_OK};

    if (h2_stream_no_memory(stream)) {
        no_memory(&grpc->config, &failure);
    } else {
        metric_limit(grpc->config.metrics, L_HEADERS);
        fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL,
             "the request's headers exceed 100 fields or 16384 bytes");
    }
    refuse(grpc, stream, "", grpc->config.method_count, clock_monotonic_ns(), &failure);
}

/* ---- the request's bytes ------------------------------------------------------- */

static void data(struct h2_stream *stream, const uint8_t *bytes, size_t count)
{
    struct call *call = h2_stream_user(stream);

    if (!call || call->state != CALL_RECEIVING)
        return;
    call->active_ns = clock_monotonic_ns();
    call->credit_owed += count;
    if (request_reader_feed(call, bytes, count) < 0)
        call_end(call);
    else
        call_give_credit(call);
}

static void end(struct h2_stream *stream)
{
    struct call *call = h2_stream_user(stream);

    if (!call || call->state != CALL_RECEIVING)
        return;
    if (!deframer_idle(&call->deframer)) {
        fail(&call->failure, TRIT_INTERNAL, NULL, "the request ended inside message %u",
             (unsigned)call->messages);
    } else if (call->messages == 0 && !call->method->streaming) {
        fail(&call->failure, TRIT_UNIMPLEMENTED, NULL,
             "a unary request without a message");
    } else {
        state_move(&call_states, &call->state, CALL_WORKING);
        if (call->method->request(call) == 0)
            return;
    }
    call_end(call);
}

static const struct h2_events call_events = {
    .request = request,
    .request_too_large = request_too_large,
    .data = data,
    .end = end,
    .closed = closed,
};

const struct h2_events *grpc_events(void)
{
    return &call_events;
}
