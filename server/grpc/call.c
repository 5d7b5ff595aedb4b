/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/call.h"

#include <stdlib.h>
#include <string.h>

#include "base/account.h"
#include "base/clock.h"
#include "grpc/trailers.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "proto/utf8.h"

static const struct state_row rows[CALL_STATES] = {
    [CALL_RECEIVING] = {"receiving", STATE_TO(CALL_WORKING) | STATE_TO(CALL_ENDED) |
                                         STATE_TO(CALL_CLOSED)},
    [CALL_WORKING] = {"working", STATE_TO(CALL_ENDED) | STATE_TO(CALL_CLOSED)},
    [CALL_ENDED] = {"ended", STATE_TO(CALL_CLOSED)},
    [CALL_CLOSED] = {"closed", 0},
};
const struct states call_states = STATES("call", rows);

/* ---- the end of a call --------------------------------------------------- */

void call_free_if_done(struct call *call)
{
    struct grpc *grpc = call->grpc;

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
    account_free(call->account, call->method_state);
    account_free(call->account, call);
    metric_down(grpc->config.metrics, M_STREAMS);
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

static void log_end(const struct grpc_config *config, size_t method_id, const char *path,
                    uint64_t started_ns, const struct failure *failure)
{
    uint64_t took_ns = clock_monotonic_ns() - started_ns;

    metric_call(config->metrics, method_id, failure->status, took_ns);
    log_event(config->log, failure->status == TRIT_OK ? LOG_DEBUG : LOG_INFO, "rpc_end",
              LOG_FIELDS(LOG_STR("method", path),
                         LOG_STR("status", status_name(failure->status)),
                         LOG_U64("took_us", took_ns / 1000),
                         LOG_STR("message", failure->message)));
}

void call_log_end(struct call *call)
{
    log_end(call->config, call->method_id, call->method->path, call->started_ns,
            &call->failure);
}

void call_log_refusal(const struct grpc_config *config, size_t method_id,
                      const char *path, uint64_t started_ns,
                      const struct failure *failure)
{
    enum { PATH_BYTES_MAX = 200 }; /* in the log, of what a peer sent */
    char shown[PATH_BYTES_MAX + 1];
    size_t length = strnlen(path, PATH_BYTES_MAX + 1);

    if (length > PATH_BYTES_MAX)
        length = utf8_cut(path, PATH_BYTES_MAX);
    memcpy(shown, path, length);
    shown[length] = '\0';
    log_end(config, method_id, shown, started_ns, failure);
}

void call_end(struct call *call)
{
    struct trailers trailers;

    if (!state_try(&call_states, &call->state, CALL_ENDED))
        return;
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
    if (call->throttle || call->held.stopped || !call->credit_owed ||
        call->state != CALL_RECEIVING)
        return;
    h2_credit(call->stream, call->credit_owed);
    call->credit_owed = 0;
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
