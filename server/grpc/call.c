/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/call.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/account.h"
#include "base/clock.h"
#include "base/number.h"
#include "grpc/trailers.h"
#include "obs/log.h"
#include "obs/metrics.h"

static const struct state_row rows[CALL_STATES] = {
    [CALL_RECEIVING] = {"receiving", STATE_TO(CALL_WORKING) | STATE_TO(CALL_ENDED) |
                                         STATE_TO(CALL_CLOSED)},
    [CALL_WORKING] = {"working", STATE_TO(CALL_ENDED) | STATE_TO(CALL_CLOSED)},
    [CALL_ENDED] = {"ended", STATE_TO(CALL_CLOSED)},
    [CALL_CLOSED] = {"closed", 0},
};
const struct states call_states = STATES("call", rows);

/* ---- the end of a call --------------------------------------------------- */

size_t call_bytes(const struct method *method)
{
    const size_t bytes = (size_t)align_up(sizeof(struct call), alignof(max_align_t));

    return method ? bytes + method->state_bytes : bytes;
}

void call_free_if_done(struct call *call)
{
    struct grpc *grpc = call->grpc;
    size_t method_id = call->method_id;

    if (call->state != CALL_CLOSED || call->references > 0)
        return;
    if (call->method->fini)
        call->method->fini(call);
    timer_disarm(grpc->config.timers, &call->timer);
    scan_fini(&call->scan);
    account_release(call->account, call->scan_charged);
    inflater_destroy(call->inflater);
    metadata_free(call->account, call->metadata);
    list_remove(&call->link);
    spares_put(&grpc->spares, call->account, call, call_bytes(call->method));
    metric_down(grpc->config.metrics, M_STREAMS);
    metric_call_end(grpc->config.metrics, method_id);
    grpc_observe(grpc);
    if (--grpc->call_count == 0 && grpc->idle)
        grpc->idle(grpc->idle_arg);
}

void call_hold(struct call *call)
{
    call->references++;
}

void call_release(struct call *call)
{
    call->references--;
    call_free_if_done(call);
}

void call_cancel(struct call *call)
{
    if (atomic_exchange(&call->cancelled, true))
        return;
    if (call->method->cancel)
        call->method->cancel(call);
}

void call_log_end(struct call *call)
{
    const struct call_ended ended = {
        .path = call->method->path,
        .method_id = call->method_id,
        .started_ns = call->started_ns,
        .failure = &call->failure,
        .peer = h2_stream_peer(call->stream),
        .trace = &call->trace,
        .labels = call->labels,
        .label_count = call->label_count,
    };

    call_trace_end(call->config, &ended);
}

void call_label(struct call *call, const char *key, const char *value)
{
    if (call->label_count < CALL_LABELS_MAX)
        call->labels[call->label_count++] = (struct call_label){key, value};
}

void call_end(struct call *call)
{
    struct trailers trailers;

    if (!state_try(&call_states, &call->state, CALL_ENDED))
        return;
    if (call->failure.status == TRIT_OK && call->responded && !call->metadata) {
        h2_finish_fixed(call->stream, &trailers_ok, 1);
        call_log_end(call);
        return;
    }
    if (call->failure.status != TRIT_OK)
        call_cancel(call);
    trailers_build(&trailers, &call->failure, call->metadata, !call->responded);
    h2_finish(call->stream, trailers.fields, trailers.count);
    call_log_end(call);
}

void call_resume_soon(struct call *call)
{
    if (call->stream)
        timer_arm(call->config->timers, &call->resume, clock_monotonic_ns());
}

/* ---- credit ------------------------------------------------------------ */

void call_give_credit(struct call *call)
{
    if (call->throttle || call->held.stopped || call->credit_owed <= call->credit_kept ||
        call->state != CALL_RECEIVING)
        return;
    h2_credit(call->stream, call->credit_owed - call->credit_kept);
    call->credit_owed = call->credit_kept;
}

void call_keep_credit(struct call *call, uint64_t bytes)
{
    const uint64_t most = call->config->limits->stream_window_bytes / 2;

    call->credit_kept = (size_t)(bytes < most ? bytes : most);
}

void call_throttle(struct call *call, enum call_throttle reason, bool on)
{
    if (on) {
        call->throttle |= (uint32_t)reason;
    } else {
        call->throttle &= ~(uint32_t)reason;
        if (call->held.stopped)
            call_resume_soon(call);
        call_give_credit(call);
    }
}
