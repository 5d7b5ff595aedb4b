/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/call.h"

#include <stdlib.h>

#include "base/account.h"
#include "base/clock.h"
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
                    uint64_t started_ns, enum trit_status status, const char *message)
{
    uint64_t took_ns = clock_monotonic_ns() - started_ns;

    metric_call(config->metrics, method_id, status, took_ns);
    log_event(config->log, status == TRIT_OK ? LOG_DEBUG : LOG_INFO, "rpc_end",
              LOG_FIELDS(LOG_STR("method", path), LOG_STR("status", status_name(status)),
                         LOG_U64("took_us", took_ns / 1000),
                         LOG_STR("message", message)));
}

void call_log_end(struct call *call, enum trit_status status)
{
    log_end(call->config, call->method_id, call->method->path, call->started_ns, status,
            call->failure.message);
}

void call_log_refusal(const struct grpc_config *config, size_t method_id,
                      const char *path, uint64_t started_ns,
                      const struct failure *failure)
{
    log_end(config, method_id, path, started_ns, failure->status, failure->message);
}

void call_end(struct call *call)
{
    struct trailers trailers;

    if (!state_try(&call_states, &call->state, CALL_ENDED))
        return;
    if (call->failure.status != TRIT_OK)
        call_cancel(call);
    trailers_build(&trailers, &call->failure, !call->responded, false);
    h2_finish(call->stream, trailers.fields, trailers.count);
    call_log_end(call, call->failure.status);
}

/* ---- credit ------------------------------------------------------------ */

void call_give_credit(struct call *call)
{
    if (call->throttle || !call->credit_owed || call->state != CALL_RECEIVING)
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
        call_give_credit(call);
    }
}
