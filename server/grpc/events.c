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
 * Failures. Malformed headers: no call is made, the stream is answered at once
 * (reject). Anything the method refuses, and the deadline: call_end with the
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

static void reject(struct h2_stream *stream, enum trit_status status, const char *message,
                   bool accept)
{
    struct failure failure = {.status = TRIT_OK};
    struct trailers trailers;

    fail(&failure, status, NULL, "%s", message);
    trailers_build(&trailers, &failure, true, accept);
    h2_finish(stream, trailers.fields, trailers.count);
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

static void no_memory(void *owner, struct h2_stream *stream)
{
    struct grpc *grpc = owner;

    metric_limit(grpc->config.metrics, L_MEMORY);
    reject(
        stream, TRIT_RESOURCE_EXHAUSTED,
        "this connection's share of the memory budget memory_bytes_max is used up; try "
        "again later",
        false);
}

static void request(void *owner, struct h2_stream *stream,
                    const struct h2_header *headers, size_t count)
{
    struct grpc *grpc = owner;
    const char *verb = header(headers, count, ":method");
    const char *path = header(headers, count, ":path");
    const char *type = header(headers, count, "content-type");
    const char *timeout = header(headers, count, "grpc-timeout");
    const char *encoding = header(headers, count, "grpc-encoding");
    const struct method *method;
    uint64_t timeout_ns = 0;
    size_t method_id;
    struct call *call;

    if (!verb || strcmp(verb, "POST") != 0) {
        reject_http(stream, 405);
        return;
    }
    if (!type || strncmp(type, "application/grpc", 16) != 0) {
        reject_http(stream, 415);
        return;
    }
    method = path ? method_find(grpc->config.methods, grpc->config.method_count, path,
                                &method_id)
                  : NULL;
    if (!method) {
        reject(stream, TRIT_UNIMPLEMENTED, path ? path : "no :path", false);
        return;
    }
    if (encoding && strcmp(encoding, "identity") != 0) {
        reject(stream, TRIT_UNIMPLEMENTED, "grpc-encoding: only identity is supported",
               true);
        return;
    }
    if (timeout && timeout_parse(timeout, &timeout_ns) < 0) {
        reject(stream, TRIT_INVALID_ARGUMENT,
               "grpc-timeout: not up to 8 digits and a unit", false);
        return;
    }
    call = call_create(grpc, stream, method, method_id);
    if (!call) {
        no_memory(owner, stream);
        return;
    }
    call->deadline_ns = timeout ? call->started_ns + timeout_ns : 0;
    arm(call);
    if (method->begin)
        method->begin(call);
}

static void request_too_large(void *owner, struct h2_stream *stream)
{
    struct grpc *grpc = owner;

    if (h2_stream_no_memory(stream)) {
        no_memory(owner, stream);
        return;
    }
    metric_limit(grpc->config.metrics, L_HEADERS);
    reject(stream, TRIT_RESOURCE_EXHAUSTED,
           "the request's headers exceed 100 fields or 16384 bytes", false);
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
