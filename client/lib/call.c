/* SPDX-License-Identifier: Apache-2.0 */
/* A call with one exchange takes a channel, begins, then steps and polls until the
 * exchange is DONE; it releases the channel and puts it back. With several exchanges,
 * each has its lane with a channel of its own; all are polled together. An exchange for
 * which no channel is free waits until a lane ends.
 *
 * Retry. A failed exchange begins again on a new connection in two cases. The daemon
 * says that it did nothing (REFUSED_STREAM, GOAWAY): at most ATTEMPTS_MAX attempts in
 * all. Or a connection from the pool turns out to be dead before any byte of the reply:
 * once. In the second case the daemon may have begun. That is safe for most methods,
 * because a report that is filed twice is the same report; it is not safe for methods
 * that make or delete a layer (`not_retriable`).
 *
 * Failures: the first one counts; the other exchanges are cancelled with RST_STREAM. */
#include "client/lib/call.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"

enum {
    ATTEMPTS_MAX = 3,
    PROGRESS_MS = 100, /* at most this long between two progress callbacks */
};

struct lane {
    struct exchange *exchange;
    struct channel *channel; /* NULL: not begun, or ended */
    bool reused;
    uint32_t attempts;
};

struct run {
    const struct call *call;
    struct lane lanes[CONNECTIONS_MAX];
    size_t count, live;
    struct failure *failure;
    bool authorized; /* `authorization` is filled: "" where there is no token */
    char authorization[AUTHORIZATION_BYTES];
};

int call_init(struct call *call, struct trit_client *client, const char *field,
              const struct trit_call_options *options, uint64_t bytes_total,
              struct failure *failure)
{
    struct trit_call_options o;

    if (sized_take_optional(&sized_call_options, field, options, &o, failure) < 0)
        return -1;
    *call = (struct call){.client = client,
                          .timeout_ms = o.timeout_ms ? o.timeout_ms : client->timeout_ms,
                          .progress = o.progress,
                          .progress_arg = o.progress_arg,
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

static int deadline_exceeded(const struct call *call, struct failure *failure)
{
    return fail(failure, TRIT_DEADLINE_EXCEEDED, NULL,
                "no complete reply within %" PRIu64 " ms", call->timeout_ms);
}

/* ---- one lane ------------------------------------------------------------------- */

/* The token is read once a call, after the pool has refused forked children. */
static void begin(struct run *run, struct lane *lane)
{
    if (!run->authorized)
        token_authorization(&run->call->client->token, run->authorization);
    run->authorized = true;
    lane->attempts++;
    channel_begin(lane->channel, lane->exchange, run->call->deadline_ns,
                  run->authorization);
}

/* Begins the exchange if a channel is free. When no lane is active, waits for one. */
static int lane_begin(struct run *run, struct lane *lane)
{
    enum pool_wait wait = run->live == 0 ? POOL_WAIT : POOL_TRY;

    if (pool_take(&run->call->client->pool, wait, run->call->deadline_ns, &lane->channel,
                  &lane->reused, run->failure) < 0)
        return -1;
    if (lane->channel) {
        run->live++;
        begin(run, lane);
    }
    return 0;
}

static bool may_retry(const struct run *run, const struct lane *lane)
{
    const struct exchange *exchange = lane->exchange;
    bool died_idle = lane->reused && !run->call->not_retriable &&
                     !exchange->response_started &&
                     exchange->failure.status == TRIT_UNAVAILABLE;

    return exchange->failure.status != TRIT_OK && lane->attempts < ATTEMPTS_MAX &&
           (exchange->unprocessed || died_idle) && !past_deadline(run->call);
}

static int lane_retry(struct run *run, struct lane *lane)
{
    channel_release(lane->channel);
    exchange_rewind(lane->exchange);
    lane->reused = false;
    if (pool_renew(&run->call->client->pool, run->call->deadline_ns, &lane->channel,
                   run->failure) < 0) {
        run->live--;
        return -1;
    }
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

    if (may_retry(run, lane))
        return lane_retry(run, lane);
    lane_end(run, lane);
    if (failure->status == TRIT_OK)
        return 0;
    /* The daemon may have noticed the deadline before us. */
    if (failure->status == TRIT_CANCELLED && past_deadline(run->call))
        return deadline_exceeded(run->call, run->failure);
    if (run->failure->status == TRIT_OK)
        *run->failure = *failure;
    return -1;
}

/* ---- all of them ------------------------------------------------------------------ */

static int begin_waiting(struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct lane *lane = &run->lanes[i];

        if (lane->exchange->state == EXCHANGE_IDLE && lane_begin(run, lane) != 0)
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
    uint64_t done = 0;

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

static int wait_ms(const struct call *call)
{
    uint64_t now, left_ms = UINT64_MAX;

    if (call->deadline_ns) {
        now = clock_monotonic_ns();
        left_ms = now < call->deadline_ns ? (call->deadline_ns - now) / 1000000u + 1 : 0;
    }
    if (call->progress && left_ms > PROGRESS_MS)
        left_ms = PROGRESS_MS;
    return left_ms == UINT64_MAX ? -1 : left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

/* Waits until a channel can move bytes, the deadline passes, or progress is due. */
static int wait_for_channels(struct run *run)
{
    struct pollfd waits[CONNECTIONS_MAX];
    nfds_t count = 0;

    for (size_t i = 0; i < run->count; i++)
        if (run->lanes[i].channel)
            waits[count++] = (struct pollfd){channel_fd(run->lanes[i].channel),
                                             channel_events(run->lanes[i].channel), 0};
    if (count > 0 && poll(waits, count, wait_ms(run->call)) < 0 && errno != EINTR)
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
        if (run->lanes[i].exchange->state != EXCHANGE_DONE)
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
        return deadline_exceeded(run->call, run->failure);
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
