/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/lane.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum {
    REFUSED_MAX = 2,
    PLACE_MS = 10, /* until a lane looks again for a free place in the pool */
};

bool run_is_late(const struct run *run)
{
    const uint64_t deadline_ns = run->call->deadline_ns;

    return deadline_ns && clock_monotonic_ns() >= deadline_ns;
}

int run_late(const struct run *run, struct failure *failure)
{
    const bool again = run->last.status != TRIT_OK;

    return fail(failure, TRIT_DEADLINE_EXCEEDED, NULL,
                "no complete reply within %" PRIu64 " ms%s%.300s", run->call->timeout_ms,
                again ? "; the last attempt failed: " : "",
                again ? run->last.message : "");
}

/* ---- one lane: when it begins again ----------------------------------------------- */

static void lane_pause(struct run *run, struct lane *lane, uint64_t pause_ns)
{
    lane->again = true;
    lane->resume_ns = clock_monotonic_ns() + pause_ns;
    run->last = *run->failure;
    *run->failure = (struct failure){.status = TRIT_OK};
}

/* Pauses as the policy and the daemon say; `answer` is NULL without a connection. False:
 * there is no other attempt, and the failure says how many there were. */
static bool policy_pause(struct run *run, struct lane *lane,
                         const struct exchange *answer)
{
    const struct retry_policy *policy = &run->call->retry;
    const bool pushback = answer && answer->has_pushback;
    struct failure *failure = run->failure;
    const size_t length = strlen(failure->message);
    const bool allowed =
        policy->attempts_max <= 1 || throttle_failed(&run->call->client->throttle);
    uint64_t pause_ns;

    if (lane->attempts >= policy->attempts_max || !allowed ||
        (pushback && answer->pushback_ms < 0)) {
        if (policy->attempts_max > 1 && (lane->attempts > 1 || !allowed))
            snprintf(failure->message + length, sizeof(failure->message) - length,
                     " (attempt %" PRIu32 " of %" PRIu32 "%s)", lane->attempts,
                     policy->attempts_max, allowed ? "" : "; retries are throttled");
        return false;
    }
    if (pushback) {
        pause_ns = (uint64_t)answer->pushback_ms * 1000000u;
        lane->pauses = 0;
    } else {
        pause_ns = retry_pause_ns(policy, ++lane->pauses, retry_random());
    }
    lane_pause(run, lane, pause_ns);
    return true;
}

static void connect_pause(struct run *run, struct lane *lane)
{
    lane_pause(run, lane,
               retry_pause_ns(&retry_connect, ++lane->unreached, retry_random()));
}

/* There was no connection before the deadline, now or at an earlier attempt. */
static int too_late(struct run *run)
{
    if (run->failure->status == TRIT_UNAVAILABLE)
        run->last = *run->failure;
    if (run->last.status == TRIT_OK)
        return -1;
    *run->failure = (struct failure){.status = TRIT_OK};
    return run_late(run, run->failure);
}

/* No connection, and run->failure says why. 0: the lane pauses. */
static int lane_unconnected(struct run *run, struct lane *lane)
{
    if (run_is_late(run))
        return too_late(run);
    if (run->failure->status != TRIT_UNAVAILABLE)
        return -1;
    if (run->call->wait_for_ready) {
        connect_pause(run, lane);
        return 0;
    }
    lane->attempts++;
    return policy_pause(run, lane, NULL) ? 0 : -1;
}

/* The failure of an exchange that was refused, lost or answered. */
static bool is_transient(const struct exchange *exchange)
{
    return exchange->failure.status == TRIT_UNAVAILABLE ||
           (exchange->failure.status == TRIT_RESOURCE_EXHAUSTED &&
            exchange->has_pushback);
}

enum again { AGAIN_NEVER, AGAIN_NOW, AGAIN_LATER };

/* AGAIN_LATER: the lane pauses. AGAIN_NEVER may leave the failure in run->failure. */
static enum again lane_again(struct run *run, struct lane *lane)
{
    const struct exchange *exchange = lane->exchange;

    if (exchange->failure.status == TRIT_OK || run_is_late(run))
        return AGAIN_NEVER;
    if (exchange->unprocessed) {
        lane->attempts--;
        if (lane->refused++ < REFUSED_MAX)
            return AGAIN_NOW;
    } else {
        if (run->call->not_retriable || !is_transient(exchange) ||
            !exchange_may_rewind(exchange))
            return AGAIN_NEVER;
        if (lane->reused && !exchange->response_started)
            return AGAIN_NOW;
    }
    *run->failure = exchange->failure;
    if (run->call->wait_for_ready &&
        (exchange->unprocessed || channel_is_silent(lane->channel))) {
        lane->attempts -= !exchange->unprocessed;
        connect_pause(run, lane);
        return AGAIN_LATER;
    }
    lane->attempts += exchange->unprocessed;
    if (exchange->ops->resumes && exchange->response_started)
        lane->attempts = 1;
    return policy_pause(run, lane, exchange) ? AGAIN_LATER : AGAIN_NEVER;
}

/* ---- one lane ------------------------------------------------------------------- */

/* The token is read once a call, after the pool has refused forked children. */
static void begin(struct run *run, struct lane *lane)
{
    if (!run->authorized)
        token_authorization(&run->call->client->token, run->authorization);
    run->authorized = true;
    lane->attempts++;
    lane->exchange->previous_attempts = lane->attempts - 1;
    channel_begin(lane->channel, lane->exchange, run->call->deadline_ns,
                  run->authorization);
}

/* The lane has a channel: the exchange begins, now or when the channel has connected. */
static void lane_take(struct run *run, struct lane *lane)
{
    run->live++;
    if (lane->again)
        exchange_rewind(lane->exchange);
    lane->again = false;
    lane->connecting = !lane->reused;
    if (!lane->connecting)
        begin(run, lane);
}

/* How long a lane waits for a place in the pool: once a turn, if no lane needs attention. */
static uint64_t place_wait_ns(struct run *run)
{
    const uint64_t now = clock_monotonic_ns(), deadline = run->call->deadline_ns;
    const uint64_t wait = PROGRESS_MS * 1000000u;

    if (run->live > 0 || run->waited || (deadline && deadline <= now))
        return 0;
    run->waited = true;
    return deadline && deadline - now < wait ? deadline - now : wait;
}

int lane_begin(struct run *run, struct lane *lane)
{
    if (pool_take(&run->call->client->pool, place_wait_ns(run), run->call->deadline_ns,
                  &lane->channel, &lane->reused, run->failure) < 0)
        return lane_unconnected(run, lane);
    if (lane->channel) {
        lane_take(run, lane);
        return 0;
    }
    lane->resume_ns = clock_monotonic_ns() + PLACE_MS * 1000000u;
    if (run->live > 0 || !run_is_late(run))
        return 0;
    return fail(run->failure, TRIT_DEADLINE_EXCEEDED, NULL,
                "deadline exceeded: all %d connections are busy", (int)CHANNELS_MAX);
}

/* Begins again on a new connection. */
static int lane_retry(struct run *run, struct lane *lane)
{
    channel_release(lane->channel);
    lane->reused = false;
    run->live--;
    if (pool_renew(&run->call->client->pool, run->call->deadline_ns, &lane->channel,
                   run->failure) < 0)
        return lane_unconnected(run, lane);
    lane->again = true;
    lane_take(run, lane);
    return 0;
}

void lane_end(struct run *run, struct lane *lane)
{
    const bool clean = !lane->connecting && channel_release(lane->channel);

    pool_put(&run->call->client->pool, lane->channel, clean);
    lane->channel = NULL;
    lane->connecting = false;
    run->live--;
}

int lane_connect(struct run *run, struct lane *lane)
{
    const int connected = channel_connect(lane->channel, run->failure);

    if (connected < 0) {
        lane_end(run, lane);
        return lane_unconnected(run, lane);
    }
    lane->connecting = connected == 0;
    if (!lane->connecting)
        begin(run, lane);
    return 0;
}

int lane_done(struct run *run, struct lane *lane)
{
    const struct failure *failure = &lane->exchange->failure;
    const enum again again = lane_again(run, lane);

    if (again == AGAIN_NOW)
        return lane_retry(run, lane);
    lane_end(run, lane);
    if (failure->status == TRIT_OK)
        throttle_succeeded(&run->call->client->throttle);
    if (failure->status == TRIT_OK || again == AGAIN_LATER)
        return 0;
    /* The daemon may have noticed the deadline before us. */
    if (failure->status == TRIT_CANCELLED && run_is_late(run))
        return run_late(run, run->failure);
    return fail_as(run->failure, failure);
}

bool lane_is_unconnected(const struct lane *lane)
{
    return lane->again || (lane->channel && !channel_is_settled(lane->channel));
}
