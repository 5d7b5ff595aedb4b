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
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "client/lib/lane.h"

static int begin_waiting(struct run *run)
{
    run->waited = false;
    for (size_t i = 0; i < run->count; i++) {
        struct lane *lane = &run->lanes[i];
        const bool due = lane->again ? clock_monotonic_ns() >= lane->resume_ns
                                     : lane->exchange->state == EXCHANGE_IDLE;

        if (due && !lane->channel && lane_begin(run, lane) != 0)
            return -1;
    }
    return 0;
}

static int step_all(struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct lane *lane = &run->lanes[i];

        if (lane->connecting && lane_connect(run, lane) < 0)
            return -1;
        if (!lane->channel || lane->connecting)
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

static bool any_unconnected(const struct run *run)
{
    for (size_t i = 0; i < run->count; i++)
        if (lane_is_unconnected(&run->lanes[i]))
            return true;
    return false;
}

/* trit_close_begin: only what the daemon has begun goes on. */
static int check_closing(const struct run *run)
{
    const uint64_t closing_ns = atomic_load(&run->call->client->closing_ns);

    if (closing_ns == 0 || clock_monotonic_ns() < closing_ns || !any_unconnected(run))
        return 0;
    return fail(run->failure, TRIT_CANCELLED, NULL,
                "the client was closed while the call waited for a connection");
}

/* When the call must act again, if no channel can move bytes before. UINT64_MAX: never. */
static uint64_t wake_ns(const struct run *run)
{
    uint64_t wake = run->call->deadline_ns ? run->call->deadline_ns : UINT64_MAX;

    for (size_t i = 0; i < run->count; i++) {
        const struct lane *lane = &run->lanes[i];
        uint64_t lane_wake = UINT64_MAX;

        if (lane->again)
            lane_wake = lane->resume_ns;
        else if (lane->channel)
            lane_wake = channel_wake_ns(lane->channel);
        if (lane_wake < wake)
            wake = lane_wake;
    }
    return wake;
}

static int wait_ms(const struct run *run, bool unconnected)
{
    const uint64_t wake = wake_ns(run), now = clock_monotonic_ns();
    uint64_t left_ms = UINT64_MAX;

    if (wake != UINT64_MAX)
        left_ms = now < wake ? (wake - now) / 1000000u + 1 : 0;
    if ((run->call->progress || unconnected) && left_ms > PROGRESS_MS)
        left_ms = PROGRESS_MS;
    return left_ms == UINT64_MAX ? -1 : left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

/* Waits until a channel can go on, a pause ends, the deadline passes, or progress is due.
 * A lane without a channel that does not pause has waited for a place already. */
static int wait_for_channels(struct run *run)
{
    struct pollfd polls[CONNECTIONS_MAX * CHANNEL_POLLS_MAX];
    const bool unconnected = any_unconnected(run);
    nfds_t count = 0;

    for (size_t i = 0; i < run->count; i++)
        if (run->lanes[i].channel)
            count += channel_polls(run->lanes[i].channel, polls + count);
    if ((count > 0 || unconnected) && poll(polls, count, wait_ms(run, unconnected)) < 0 &&
        errno != EINTR)
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
    if (run_is_late(run))
        return run_late(run, run->failure);
    return check_closing(run) < 0 ? -1 : wait_for_channels(run);
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
