/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that give way to new ones when places, descriptors or memory are short.
 * net's list of connections is in the order of their last byte. The first of these goes:
 *
 *   - it has no call, or its calls have waited for the peer for STALLED_MS without a byte;
 *   - its address has at least as many connections as the newcomer's.
 *
 * So a crowd of silent connections does not lock others out, and a crowd from one address
 * only displaces its own. The peer gets a GOAWAY: what it was about to send was not
 * processed, and may be sent again on a new connection. */
#include "h2/session.h"
#include "net/impl.h"
#include "obs/log.h"
#include "obs/metrics.h"

enum {
    STALLED_MS = 250,
    CANDIDATES_MAX = 64, /* looked at for one newcomer */
    YIELDING_MAX = 64,   /* connections whose close is under way */
};

static bool can_yield(const struct conn *conn, size_t connections, uint64_t now)
{
    if (conn->state == CONN_CLOSING || conn->origin->connections < connections)
        return false;
    if (h2_streams(conn->session) == 0)
        return true;
    return now - conn->active_ns >= STALLED_MS * 1000000ull &&
           !h2_owes_answer(conn->session);
}

static void yield(struct conn *conn)
{
    struct net *net = conn->net;

    conn->yields = true;
    net->member->yielding++;
    metric_add(net->config.metrics, M_CONNECTIONS_YIELDED, 1);
    log_event(net->config.log, LOG_INFO, "conn_yielded",
              LOG_FIELDS(LOG_STR("peer", conn->peer.address),
                         LOG_U64("calls", h2_streams(conn->session))));
    if (conn->state == CONN_OPEN) {
        h2_drain_finish(conn->session);
        conn_flush(conn); /* the GOAWAY, if the socket takes it */
    }
    conn_close(conn, "yielded");
}

bool net_make_room(struct net *net, const struct address *newcomer)
{
    const size_t connections = newcomer ? origin_connections(net->origins, newcomer) : 0;
    const uint64_t now = clock_monotonic_ns();
    int looked_at = 0;

    if (net->member->yielding >= YIELDING_MAX)
        return false;
    for (struct list *node = net->conns.next;
         node != &net->conns && looked_at < CANDIDATES_MAX;
         node = node->next, looked_at++) {
        struct conn *conn = LIST_OWNER(node, struct conn, link);

        if (can_yield(conn, connections, now)) {
            yield(conn);
            return true;
        }
    }
    return false;
}
