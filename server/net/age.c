/* SPDX-License-Identifier: Apache-2.0 */
/* The age of connections. A proxy that balances connections, not calls, leaves a client at
 * the daemon that it first got. With connection_age_ms a connection is asked to end at
 * that age, as in a drain: GOAWAY and PING, then the final GOAWAY. Calls that have begun go
 * on, and the client makes its next call on a new connection. Ages differ by up to a tenth,
 * so that clients that came together do not come again together.
 *
 * A connection closes when its last call has ended; one that still has calls after
 * connection_age_grace_ms is closed. */
#include "base/limits.h"
#include "h2/session.h"
#include "net/impl.h"
#include "obs/log.h"
#include "obs/metrics.h"

enum {
    AGE_JITTER = 100, /* thousandths of the age, more or less */
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
    metric_add(conn->net->config.metrics, M_CONNECTIONS_AGED, 1);
    log_event(conn->net->config.log, LOG_DEBUG, "conn_aged",
              LOG_FIELDS(LOG_STR("peer", conn->peer.address),
                         LOG_U64("calls", h2_streams(conn->session))));
    conn_drain(conn);
}

static void end_grace(struct conn *conn)
{
    metric_limit(conn->net->config.metrics, L_AGE_GRACE);
    log_event(conn->net->config.log, LOG_WARN, "conn_age_grace",
              LOG_FIELDS(LOG_STR("peer", conn->peer.address),
                         LOG_U64("calls", h2_streams(conn->session))));
    conn_close(conn, "age");
}

void conn_on_aging(struct timer *timer)
{
    struct conn *conn = LIST_OWNER(timer, struct conn, aging);

    if (conn->state == CONN_SECURING || conn->state == CONN_GREETING) {
        arm(conn, DRAIN_PING_MS); /* the handshake timer bounds this */
        return;
    }
    if (conn->state != CONN_OPEN)
        return; /* it ends already */
    switch (conn->age) {
    case AGE_YOUNG:
        conn->age = AGE_ASKED;
        ask_to_end(conn);
        arm(conn, DRAIN_PING_MS);
        break;
    case AGE_ASKED:
        conn->age = AGE_GRACE;
        conn_drain_finish(conn);
        arm(conn, conn->net->config.limits->connection_age_grace_ms);
        break;
    case AGE_GRACE:
        end_grace(conn);
        break;
    }
}

void conn_age_begin(struct conn *conn)
{
    const uint64_t age = conn->net->config.limits->connection_age_ms;
    const uint64_t part = next_random(&conn->net->jitter) % (2 * AGE_JITTER + 1);

    if (age > 0)
        arm(conn, age * (1000 - AGE_JITTER + part) / 1000);
}
