/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/rate.h"

#include "base/limits.h"
#include "grpc/call.h"

enum { WINDOW_OPEN_BYTES = 16 << 10 }; /* with more, the stream waits for others */

static uint64_t window_ns(const struct call *call)
{
    return call->config->limits->rate_ms * 1000000;
}

uint64_t rate_due_ns(const struct call *call)
{
    if (call->config->limits->rate_bytes_min == 0)
        return UINT64_MAX;
    return call->rate.begin_ns + window_ns(call);
}

/* With credit that is kept, the peer may have none for a while. */
static bool wants_input(const struct call *call)
{
    return call->state == CALL_RECEIVING && call->throttle == 0 &&
           call->credit_kept == 0 && !deframer_idle(&call->deframer);
}

enum rate_verdict rate_check(struct call *call, uint64_t now_ns)
{
    const struct limits *limits = call->config->limits;
    const struct call_rate before = call->rate;
    const struct h2_counters *counters = h2_stream_counters(call->stream);
    uint64_t wanted;

    if (now_ns < rate_due_ns(call))
        return RATE_GOOD;
    call->rate = (struct call_rate){
        .begin_ns = now_ns,
        .received = call->rate.received,
        .seen_received = call->rate.received,
        .seen_taken = h2_stream_taken(call->stream),
        .connection_received = counters->bytes_received,
        .connection_sent = counters->bytes_sent,
        .messages = call->messages,
        .in_message = wants_input(call),
        .waits = h2_stream_queued(call->stream) > 0,
    };
    wanted = (now_ns - before.begin_ns) / 1000000 * limits->rate_bytes_min / 1000;
    if (before.waits && call->rate.waits &&
        call->rate.seen_taken - before.seen_taken < wanted &&
        (counters->bytes_sent - before.connection_sent < wanted ||
         h2_stream_window(call->stream) < WINDOW_OPEN_BYTES))
        return RATE_SLOW_READER;
    if (before.in_message && call->rate.in_message && before.messages == call->messages &&
        call->rate.received - before.seen_received < wanted &&
        counters->bytes_received - before.connection_received < wanted)
        return RATE_SLOW_SENDER;
    return RATE_GOOD;
}
