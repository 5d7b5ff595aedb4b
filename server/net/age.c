/* SPDX-License-Identifier: Apache-2.0 */
/* The age of connections. A proxy that balances connections, not calls, leaves a client at
 * the daemon that it first got. With connection_age_ms a connection is asked to end at
 * that age, as in a drain: GOAWAY and PING, then the final GOAWAY. Calls that have begun go
 * on, and the client makes its next call on a new connection. Ages differ by up to a tenth,
 * so that clients that came together do not come again together.
 *
 * A connection closes when its last call has ended; one that still has calls after
 * connection_age_grace_ms is closed. One that has made no call yet begins another age. */
#include "base/limits.h"
#include "base/number.h"
#include "h2/session.h"
#include "net/impl.h"
#include "obs/log.h"
#include "obs/metrics.h"

enum {
    AGE_JITTER = 100, /* thousandths of the age, more or less */
    /* Between the two GOAWAYs, if the peer does not answer the PING. Nothing urges, and a
     * client of one thread answers no PING while it computes: one of grpc-js lost a call of
     * 300 MiB after a second. */
    AGE_PING_MS = 30 * 1000,
};

/* SplitMix64. It decides only when connections end. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t bits = *state += 0x9e3779b97f4a7c15;

    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
    return bits ^ bits >> 31;
}

static void arm(struct conn *conn, uint64_t ms)
{
    timer_arm(conn->net->config.timers, &conn->aging, after_ms(ms));
}

static void ask_to_end(struct conn *conn)
{
    const struct net_config *config = &conn->net->config;
    const uint64_t grace_ms = config->limits->connection_age_grace_ms;

    metric_add(config->metrics, M_CONNECTIONS_AGED, 1);
    log_event(config->log, LOG_DEBUG, "conn_aged",
              LOG_FIELDS(LOG_STR("peer", conn->peer.address),
                         LOG_U64("calls", h2_streams(conn->session))));
    conn_drain(conn);
    conn->age = AGE_ASKED;
    conn->age_until_ns = after_ms(grace_ms);
    arm(conn, u64_min(grace_ms, AGE_PING_MS));
}

static void end_grace(struct conn *conn)
{
    metric_limit(conn->net->config.metrics, L_AGE_GRACE);
    log_event(conn->net->config.log, LOG_WARN, "conn_age_grace",
              LOG_FIELDS(LOG_STR("peer", conn->peer.address),
                         LOG_U64("calls", h2_streams(conn->session))));
    conn_close(conn, "age");
}

/* Whether the peer has made a call. Without any it takes nothing from other daemons. And a
 * GOAWAY that comes together with the first SETTINGS makes grpc-core 1.85 try its call on the
 * same connection again and again, until its deadline. */
static bool is_used(const struct conn *conn)
{
    return conn->state == CONN_OPEN && h2_counters(conn->session)->streams_opened > 0;
}

void conn_on_aging(struct timer *timer)
{
    struct conn *conn = LIST_OWNER(timer, struct conn, aging);

    if (conn->age == AGE_YOUNG && is_used(conn)) {
        ask_to_end(conn);
    } else if (conn->age == AGE_YOUNG) {
        conn_age_begin(conn);
    } else if (conn->state == CONN_OPEN) {
        conn_drain_finish(conn); /* unless the peer has answered the PING */
        conn_flush(conn);
        if (conn->state != CONN_OPEN)
            return; /* that was all */
        if (clock_monotonic_ns() >= conn->age_until_ns)
            end_grace(conn);
        else
            timer_arm(conn->net->config.timers, &conn->aging, conn->age_until_ns);
    }
}

void conn_age_begin(struct conn *conn)
{
    const uint64_t age = conn->net->config.limits->connection_age_ms;
    const uint64_t part = next_random(&conn->net->jitter) % (2 * AGE_JITTER + 1);
    const uint64_t ms = age * (1000 - AGE_JITTER + part) / 1000;

    if (age > 0)
        arm(conn, ms ? ms : 1);
}
