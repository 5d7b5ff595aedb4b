/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's beginning and its input: conn_open takes the socket, on_read gives
 * its bytes to the session. conn.c tells the whole story of a connection. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/account.h"
#include "base/limits.h"
#include "base/number.h"
#include "h2/session.h"
#include "net/impl.h"
#include "obs/log.h"
#include "obs/metrics.h"

enum {
    TCP_KEEPALIVE_SECONDS = 60,
};

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void on_handshake_timeout(struct timer *timer)
{
    struct conn *conn = LIST_OWNER(timer, struct conn, handshake);

    metric_limit(conn->net->config.metrics, L_HANDSHAKE);
    conn_close(conn, conn->headers_late ? "headers_timeout" : "handshake_timeout");
}

static void conn_wake(void *waker)
{
    struct conn *conn = waker;

    if (conn->state != CONN_CLOSING)
        conn_schedule_flush(conn);
}

/* False: the bytes are not those of the preface. */
static bool preface_matches(struct conn *conn, const uint8_t *bytes, size_t count)
{
    const size_t left = sizeof(preface) - 1 - conn->preface_bytes;
    const size_t compared = u64_min(count, left);

    if (memcmp(bytes, preface + conn->preface_bytes, compared) != 0)
        return false;
    conn->preface_bytes += compared;
    if (compared == left) {
        state_move(&conn_states, &conn->state, CONN_OPEN);
        if (conn->net->state == NET_DRAINING)
            conn_drain(conn);
    }
    return true;
}

static void finish(struct conn *conn, const char *reason)
{
    if (!state_try(&conn_states, &conn->state, CONN_FINISHING))
        return;
    conn->reason = reason;
    uv_read_stop(&conn->io.stream);
    conn_schedule_flush(conn);
}

/* The handshake timer runs until preface and SETTINGS have come, and while the header
 * fields of a request are unfinished. */
static void watch_headers(struct conn *conn)
{
    struct timers *timers = conn->net->config.timers;

    if (!h2_preface_received(conn->session))
        return;
    if (!h2_headers_unfinished(conn->session)) {
        timer_disarm(timers, &conn->handshake);
        conn->headers_late = false;
    } else if (!conn->headers_late) {
        conn->headers_late = true;
        timer_arm(timers, &conn->handshake,
                  after_ms(conn->net->config.limits->handshake_ms_max));
    }
}

static void conn_receive(struct conn *conn, const uint8_t *bytes, size_t count)
{
    struct net *net = conn->net;
    struct failure failure;

    failure_clear(&failure);
    conn->active_ns = clock_monotonic_ns();
    list_remove(&conn->link);
    list_push(&net->conns, &conn->link);
    if (conn->state == CONN_GREETING && !preface_matches(conn, bytes, count)) {
        conn_refuse_protocol(conn, bytes, count);
        return;
    }
    if (h2_receive(conn->session, bytes, count, &failure) < 0) {
        metric_add(net->config.metrics, M_CONNECTIONS_FAILED, 1);
        log_event(net->config.log, LOG_WARN, "conn_error",
                  LOG_FIELDS(LOG_STR("peer", conn->peer.address),
                             LOG_STR("error", failure.message)));
        finish(conn, "protocol_error");
        return;
    }
    watch_headers(conn);
    if (conn->tls)
        conn_schedule_flush(conn); /* more has come */
    else
        conn_flush(conn);
}

static bool takes_input(const struct conn *conn)
{
    return conn->state == CONN_GREETING || conn->state == CONN_OPEN;
}

/* Ciphertext. A TLS handshake begins with a record of type 22. */
static void conn_receive_secure(struct conn *conn, const uint8_t *bytes, size_t count)
{
    enum { HANDSHAKE_RECORD = 22 };
    struct tls_session *session = conn->tls->session;
    const uint8_t *plain;
    size_t got;

    if (!conn->tls->begun && bytes[0] != HANDSHAKE_RECORD) {
        conn_refuse_protocol(conn, bytes, count);
        return;
    }
    conn->tls->begun = true;
    tls_feed(session, bytes, count);
    if (conn->state == CONN_SECURING)
        secure_handshake(conn);
    while (takes_input(conn) && (got = tls_read(session, &plain)) > 0)
        conn_receive(conn, plain, got);
    tls_feed(session, NULL, 0);
    if (!takes_input(conn))
        return;
    if (tls_state(session) == TLS_CLOSED)
        conn_close(conn, "peer_closed");
    else if (tls_state(session) == TLS_FAILED)
        secure_failed(conn);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct conn *conn = LIST_OWNER(handle, struct conn, io);

    (void)suggested;
    *buffer = uv_buf_init((char *)conn->net->read_buffer, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct conn *conn = LIST_OWNER(stream, struct conn, io);

    if (conn->state == CONN_LINGERING) {
        if (count < 0)
            conn_close(conn, "done");
        return;
    }
    if (count < 0) {
        const char *reason = count == UV_EOF ? "peer_closed" : uv_err_name((int)count);

        if (conn->tls)
            secure_broken_off(conn, reason);
        else
            conn_close(conn, reason);
        return;
    }
    if (count == 0)
        return;
    metric_add(conn->net->config.metrics, M_RECEIVED_BYTES, (uint64_t)count);
    if (conn->tls)
        conn_receive_secure(conn, (const uint8_t *)buffer->base, (size_t)count);
    else
        conn_receive(conn, (const uint8_t *)buffer->base, (size_t)count);
}

/* ---- opening ---- */

static int open_tcp(struct conn *conn, int fd)
{
    int code = uv_tcp_open(&conn->io.tcp, fd);

    if (code == 0) {
        uv_tcp_nodelay(&conn->io.tcp, 1);
        uv_tcp_keepalive(&conn->io.tcp, 1, TCP_KEEPALIVE_SECONDS);
    }
    return code;
}

/* The handle exists afterwards, on failure too. */
static int attach(struct conn *conn, int fd, bool is_unix)
{
    int code;

    if (is_unix) {
        uv_pipe_init(conn->net->config.loop, &conn->io.pipe, 0);
        code = uv_pipe_open(&conn->io.pipe, fd);
    } else {
        uv_tcp_init(conn->net->config.loop, &conn->io.tcp);
        code = open_tcp(conn, fd);
    }
    if (code != 0) {
        close(fd);
        return code;
    }
    return uv_read_start(&conn->io.stream, on_alloc, on_read);
}

/* Zeroed memory for a connection, charged to its own account, and its origin. */
static struct conn *conn_alloc(struct net *net, const struct address *address)
{
    struct origin *origin = origin_join(net->origins, address);
    struct account *account = NULL;
    struct conn *conn = NULL;

    if (!origin)
        return NULL;
    if (origin->account &&
        !(account = account_open(net->origins->budget, origin->account)))
        goto leave;
    if (account_has_room(account, ACCOUNT_SMALL_BYTES) || net_make_room(net, address))
        conn = account_calloc_last(account, 1, sizeof(*conn));
    if (!conn)
        goto leave;
    conn->net = net;
    conn->origin = origin;
    conn->peer.account = account;
    return conn;

leave:
    account_close(account);
    origin_leave(net->origins, origin);
    return NULL;
}

/* The process at the other end of a Unix socket. */
static void identify(struct peer *peer, int fd)
{
    struct ucred credentials;
    socklen_t bytes = sizeof(credentials);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0)
        return;
    peer->uid = credentials.uid;
    peer->gid = credentials.gid;
    peer->pid = credentials.pid;
}

static struct conn *conn_create(struct net *net, const struct address *address)
{
    struct conn *conn = conn_alloc(net, address);

    if (!conn)
        return NULL;
    conn->state = CONN_GREETING;
    if (net->config.tls && address->socket.ss_family != AF_UNIX &&
        secure_create(conn) < 0) {
        conn_free(conn);
        return NULL;
    }
    conn->session = h2_create(net->config.limits, net->config.events,
                              net->config.events_owner, &conn->peer, conn_wake, conn);
    if (!conn->session) {
        conn_free(conn);
        return NULL;
    }
    conn->active_ns = clock_monotonic_ns();
    list_init(&conn->flush_link);
    timer_init(&conn->handshake, on_handshake_timeout);
    timer_init(&conn->stall, conn_on_stall);
    timer_init(&conn->patience, conn_on_patience);
    timer_init(&conn->aging, conn_on_aging);
    peer_of_address(address, &conn->peer);
    list_push(&net->conns, &conn->link);
    net->conn_count++;
    net->member->connections++;
    metric_up(net->config.metrics, M_CONNECTIONS);
    metric_add(net->config.metrics, M_CONNECTIONS_TOTAL, 1);
    return conn;
}

int conn_open(struct net *net, int fd, const struct address *peer,
              struct failure *failure)
{
    struct conn *conn = conn_create(net, peer);
    int code;

    if (!conn) {
        close(fd);
        metric_limit(net->config.metrics, L_MEMORY);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "no memory for a connection within memory_bytes_max and the share of "
                    "its address");
    }
    if (conn->peer.unix_socket)
        identify(&conn->peer, fd);
    code = attach(conn, fd, peer->socket.ss_family == AF_UNIX);
    if (code != 0) {
        conn_close(conn,
                   uv_err_name(code)); /* the handle exists: it ends like every other */
        return fail(failure, TRIT_UNAVAILABLE, NULL, "%s: %s", conn->peer.address,
                    uv_strerror(code));
    }
    timer_arm(net->config.timers, &conn->handshake,
              after_ms(net->config.limits->handshake_ms_max));
    conn_age_begin(conn);
    log_event(net->config.log, LOG_DEBUG, "conn_open",
              LOG_FIELDS(LOG_STR("peer", conn->peer.address),
                         LOG_U64("loop", (uint64_t)(net->member - net->group->members))));
    return 0;
}
