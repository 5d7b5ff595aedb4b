/* SPDX-License-Identifier: Apache-2.0 */
/* A call with one exchange takes a channel, begins, then steps and polls until the
 * exchange is DONE; it releases the channel and puts it back. With several exchanges,
 * each has its lane with a channel of its own; all are polled together. An exchange for
 * which no channel is free waits until a lane ends.
 *
 * Retry. A failed exchange begins again in these cases (`lane_again`):
 * - The daemon says that it did nothing (REFUSED_STREAM, GOAWAY): immediately, at most
 *   REFUSED_MAX times; then after a pause, if the call waits for the daemon or has a policy.
 * - There is no connection: after a pause, as long as the deadline allows if the call waits
 *   for the daemon, else as the policy says.
 * - A connection from the pool turns out to be dead before any byte of the reply: once,
 *   immediately.
 * - The policy of the client says so, after a pause.
 * In the last two cases the daemon may have begun. That is safe for most methods, because a
 * report that is filed twice is the same report; it is not safe for methods that make or
 * delete a layer (`not_retriable`).
 *
 * Failures: the first one counts; the other exchanges are cancelled with RST_STREAM. */
#include "client/lib/call.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum {
    REFUSED_MAX = 2,
    PLACE_MS = 10,     /* until a lane looks again for a free place in the pool */
    PROGRESS_MS = 100, /* at most this long between two progress callbacks */
};

struct lane {
    struct exchange *exchange;
    struct channel *channel; /* NULL: not begun, ended, or `again` */
    bool reused;
    bool again;         /* the exchange is to begin again: */
    uint64_t resume_ns; /* not before this time */
    uint32_t
        attempts; /* that have failed or are running, without those that were refused */
    uint32_t refused;   /* by a daemon that said that it did nothing */
    uint32_t pauses;    /* since the daemon last said when to try again */
    uint32_t unreached; /* pauses that waited for the daemon */
};

struct run {
    const struct call *call;
    struct lane lanes[CONNECTIONS_MAX];
    size_t count, live;
    struct failure *failure;
    struct failure last; /* of an attempt that is repeated */
    bool authorized;     /* `authorization` is filled: "" where there is no token */
    char authorization[AUTHORIZATION_BYTES];
};

int call_init(struct call *call, struct trit_client *client, const char *field,
              const struct trit_call_options *options, uint64_t bytes_total,
              struct failure *failure)
{
    struct trit_call_options o;

    if (sized_take_optional(&sized_call_options, field, options, &o, failure) < 0 ||
        wait_check("call.wait_for_ready", o.wait_for_ready, failure) < 0)
        return -1;
    *call = (struct call){.client = client,
                          .timeout_ms = o.timeout_ms ? o.timeout_ms : client->timeout_ms,
                          .progress = o.progress,
                          .progress_arg = o.progress_arg,
                          .wait_for_ready = o.wait_for_ready == TRIT_WAIT_DEFAULT
                                                ? client->wait_for_ready
                                                : o.wait_for_ready == TRIT_WAIT_ON,
                          .no_retry = o.no_retry,
                          .retry = o.no_retry ? retry_none : client->retry,
                          .bytes_total = bytes_total};
    if (call->timeout_ms > UINT64_MAX / 4 / 1000000u)
        call->timeout_ms = 0; /* too long for nanoseconds: no deadline */
    if (call->timeout_ms)
        call->deadline_ns = clock_monotonic_ns() + call->timeout_ms * 1000000u;
    return 0;
}

static bool past_deadline(const struct call *call)
{
    return call->deadline_ns && clock_monotonic_ns() >= call->deadline_ns;
}

/* The deadline has passed; the message says how an earlier attempt failed. */
static int deadline_exceeded(const struct run *run, struct failure *failure)
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
    return deadline_exceeded(run, run->failure);
}

/* No connection, and run->failure says why. 0: the lane pauses. */
static int lane_unconnected(struct run *run, struct lane *lane)
{
    if (past_deadline(run->call))
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

    if (exchange->failure.status == TRIT_OK || past_deadline(run->call))
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
    if (exchange->unprocessed && run->call->wait_for_ready) {
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

/* Begins the exchange if a channel is free. When no lane is active, waits for one. */
static int lane_begin(struct run *run, struct lane *lane)
{
    enum pool_wait wait = run->live == 0 ? POOL_WAIT : POOL_TRY;

    if (pool_take(&run->call->client->pool, wait, run->call->deadline_ns, &lane->channel,
                  &lane->reused, run->failure) < 0)
        return lane_unconnected(run, lane);
    if (!lane->channel) {
        lane->resume_ns = clock_monotonic_ns() + PLACE_MS * 1000000u;
        return 0;
    }
    run->live++;
    if (lane->again)
        exchange_rewind(lane->exchange);
    lane->again = false;
    begin(run, lane);
    return 0;
}

/* Begins again on a new connection. */
static int lane_retry(struct run *run, struct lane *lane)
{
    channel_release(lane->channel);
    lane->reused = false;
    if (pool_renew(&run->call->client->pool, run->call->deadline_ns, &lane->channel,
                   run->failure) < 0) {
        run->live--;
        return lane_unconnected(run, lane);
    }
    exchange_rewind(lane->exchange);
    begin(run, lane);
    return 0;
}

static void lane_end(struct run *run, struct lane *lane)
{
    bool clean = channel_release(lane->channel);

    pool_put(&run->call->client->pool, lane->channel, clean);
    lane->channel = NULL;
    run->live--;
}

/* The exchange is DONE: repeats it, or ends the lane. -1: it failed. */
static int lane_done(struct run *run, struct lane *lane)
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
    if (failure->status == TRIT_CANCELLED && past_deadline(run->call))
        return deadline_exceeded(run, run->failure);
    if (run->failure->status == TRIT_OK)
        *run->failure = *failure;
    return -1;
}

/* ---- all of them ------------------------------------------------------------------ */

static int begin_waiting(struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct lane *lane = &run->lanes[i];
        const bool due = lane->again ? clock_monotonic_ns() >= lane->resume_ns
                                     : lane->exchange->state == EXCHANGE_IDLE;

        if (due && lane_begin(run, lane) != 0)
            return -1;
    }
    return 0;
}

static int step_all(struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct lane *lane = &run->lanes[i];

        if (!lane->channel)
            continue;
        channel_step(lane->channel);
        if (lane->exchange->state == EXCHANGE_DONE && lane_done(run, lane) != 0)
            return -1;
    }
    return 0;
}

static int report_progress(const struct run *run)
{
    const struct call *call = run->call;
    uint64_t done = call->bytes_before;

    if (!call->progress)
        return 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct lane *lane = &run->lanes[i];
        uint64_t queued = lane->channel ? channel_queued_bytes(lane->channel) : 0;

        if (lane->exchange->payload_bytes > queued)
            done += lane->exchange->payload_bytes - queued;
    }
    if (call->progress(call->progress_arg, done, call->bytes_total) != 0)
        return fail(run->failure, TRIT_CANCELLED, NULL, "cancelled by the caller");
    return 0;
}

/* When the call must act again, if no channel can move bytes before. UINT64_MAX: never. */
static uint64_t wake_ns(const struct run *run)
{
    uint64_t wake = run->call->deadline_ns ? run->call->deadline_ns : UINT64_MAX;

    for (size_t i = 0; i < run->count; i++)
        if (run->lanes[i].again && run->lanes[i].resume_ns < wake)
            wake = run->lanes[i].resume_ns;
    return wake;
}

static int wait_ms(const struct run *run)
{
    const uint64_t wake = wake_ns(run), now = clock_monotonic_ns();
    uint64_t left_ms = UINT64_MAX;

    if (wake != UINT64_MAX)
        left_ms = now < wake ? (wake - now) / 1000000u + 1 : 0;
    if (run->call->progress && left_ms > PROGRESS_MS)
        left_ms = PROGRESS_MS;
    return left_ms == UINT64_MAX ? -1 : left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

/* Waits until a channel can move bytes, a pause ends, the deadline passes, or progress is
 * due. */
static int wait_for_channels(struct run *run)
{
    struct pollfd waits[CONNECTIONS_MAX];
    bool pausing = false;
    nfds_t count = 0;

    for (size_t i = 0; i < run->count; i++) {
        pausing |= run->lanes[i].again;
        if (run->lanes[i].channel)
            waits[count++] = (struct pollfd){channel_fd(run->lanes[i].channel),
                                             channel_events(run->lanes[i].channel), 0};
    }
    if ((count > 0 || pausing) && poll(waits, count, wait_ms(run)) < 0 && errno != EINTR)
        return fail(run->failure, TRIT_INTERNAL, NULL, "poll: %s", strerror(errno));
    return 0;
}

static void cancel_all(struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct lane *lane = &run->lanes[i];

        if (!lane->channel)
            continue;
        exchange_abort(lane->exchange, run->failure);
        lane_end(run, lane);
    }
}

static bool over(const struct run *run)
{
    for (size_t i = 0; i < run->count; i++)
        if (run->lanes[i].exchange->state != EXCHANGE_DONE || run->lanes[i].again)
            return false;
    return true;
}

static int turn(struct run *run)
{
    if (begin_waiting(run) != 0 || step_all(run) != 0 || report_progress(run) != 0)
        return -1;
    if (over(run))
        return 0;
    if (past_deadline(run->call))
        return deadline_exceeded(run, run->failure);
    return wait_for_channels(run);
}

int call_run(const struct call *call, struct exchange *const *exchanges, size_t count,
             struct failure *failure)
{
    struct run run;

    assert(count <= CONNECTIONS_MAX);
    memset(&run, 0, offsetof(struct run, authorization)); /* it is filled later */
    run.call = call;
    run.count = count;
    run.failure = failure;
    for (size_t i = 0; i < count; i++)
        run.lanes[i].exchange = exchanges[i];
    while (!over(&run)) {
        if (turn(&run) != 0) {
            cancel_all(&run);
            return -1;
        }
    }
    return 0;
}

/* A stream that would take one of the last connections is refused: calls would wait for it,
 * also the one that cancels its job. */
int call_run_stream(const struct call *call, struct exchange *exchange,
                    struct failure *failure)
{
    _Atomic uint32_t *count = &call->client->streams;
    int result;

    if (atomic_fetch_add(count, 1) < CLIENT_STREAMS_MAX)
        result = call_run(call, &exchange, 1, failure);
    else
        result =
            fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                 "%d watches and jobs of this client run already; use another client",
                 (int)CLIENT_STREAMS_MAX);
    atomic_fetch_sub(count, 1);
    return result;
}
