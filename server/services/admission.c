/* SPDX-License-Identifier: Apache-2.0 */
#include "services/admission.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/number.h"
#include "obs/metrics.h"
#include "services/call_job.h"
#include "services/shared.h"

enum {
    MS_NS = 1000 * 1000,
    RETRY_MS_MIN = 10,
    RETRY_MS_MAX = 10 * 1000,
};

/* Estimates are off by some, and the wait by more: it depends on others. Work is admitted
 * if it would be in time with a wait twice as long as estimated. */
static const uint64_t wait_margin = 2;

static int refuse(struct call *call, struct turns *turns, uint64_t wait_ns,
                  uint64_t limit_ns)
{
    const uint64_t wait_ms = wait_ns / MS_NS;

    turns_doubt(turns, call->method_id);
    metric_limit(call->config->metrics, L_QUEUE);
    call->failure.retry_ms =
        (uint32_t)u64_min(wait_ms > RETRY_MS_MIN ? wait_ms : RETRY_MS_MIN, RETRY_MS_MAX);
    return fail(
        &call->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
        "the workers are busy: this call would take about %.1f ms and has %.1f ms; "
        "try again later",
        (double)wait_ns / MS_NS, (double)limit_ns / MS_NS);
}

/* How long the call's work may take from now. */
static uint64_t time_left_ns(const struct call *call)
{
    const uint64_t limit = call->config->limits->queue_ms_max * MS_NS;
    uint64_t now;

    if (!call->deadline_ns)
        return limit;
    now = clock_monotonic_ns();
    return u64_min(limit, call->deadline_ns > now ? call->deadline_ns - now : 0);
}

int call_admit(struct call *call, uint64_t units)
{
    struct turns *turns = pool_turns(services_of(call)->config.pool);
    uint64_t cost, own, wait, limit;

    if (call->admitted)
        return 0;
    cost = turns_cost_ns(turns, call->method_id, units);
    own = cost / turns->threads;
    wait = turns_wait_ns(turns, call_flow(call, cost), cost) - own;
    limit = time_left_ns(call);
    if (atomic_load_explicit(&turns->flows, memory_order_relaxed) > 0 &&
        own + wait_margin * wait > limit)
        return refuse(call, turns, own + wait, limit);
    call->admitted = true;
    return 0;
}
