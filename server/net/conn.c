/* SPDX-License-Identifier: Apache-2.0 */
/* A connection: bytes from the socket into the session, batches from the session
 * into the socket.
 *
 * Happy path. conn_open takes an accepted socket, creates the session, starts
 * reading and arms the handshake timer (read.c). on_read gives bytes to h2_receive
 * and schedules a flush; net's turn calls conn_flush, which takes a batch, tries to
 * write it at once and leaves the rest to uv_write (write.c).
 * Nothing is written before the client's preface is complete, so that a peer
 * that speaks HTTP/1 is answered in HTTP/1. When the session is over, and
 * nothing is being written, the connection lingers: it drops what comes until the peer
 * closes. Then conn_close → on_closed, the one place where session and memory are
 * released.
 *
 * Over TLS the handshake comes first (SECURING, secure.c); then on_read takes plaintext
 * from the TLS session, and conn_flush gives it plaintext.
 *
 * Failures, each ends in conn_close with its reason:
 *   not the port's protocol  an answer in the peer's protocol (greeting.c)
 *   TLS handshake or record  an alert says why
 *   protocol error        reading stops; the GOAWAY leaves first (FINISHING)
 *   preface, SETTINGS late  the handshake timer
 *   peer reads nothing    the stall timer: idle_ms_max without a byte taken
 *   read or write error, end of input
 *
 * libuv calls on_written, with ECANCELED, before on_closed; the batch that it was
 * writing belongs to the session until h2_destroy. The session may call conn_wake
 * at any time except while it is being destroyed. */
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/account.h"
#include "h2/session.h"
#include "net/impl.h"
#include "obs/log.h"
#include "obs/metrics.h"

enum {
    /* How long a peer may take to read the end of a call before its upload is reset: from
     * once to twice this time. */
    UPLOAD_STOP_MS = 100,
    /* How long a connection without calls waits for its peer to close. */
    LINGER_MS = 1000,
    /* How long the drain waits for a busy peer without a call. grpc-go waits as long. */
    DRAIN_IDLE_MS = 5000,
};

static void free_tls(struct conn *conn)
{
    struct account *account = conn->peer.account;

    if (!conn->tls)
        return;
    tls_session_destroy(conn->tls->session);
    account_free(account, conn->tls->rest);
    account_free(account, conn->tls);
    account_release(account, TLS_SESSION_BYTES);
}

void conn_free(struct conn *conn)
{
    struct account *account = conn->peer.account;
    struct origins *origins = conn->net->origins;
    struct origin *origin = conn->origin;

    free_tls(conn);
    account_free(account, conn);
    account_close(account);
    origin_leave(origins, origin);
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *conn = LIST_OWNER(handle, struct conn, io);
    struct net *net = conn->net;

    log_event(net->config.log, LOG_DEBUG, "conn_close",
              LOG_FIELDS(LOG_STR("peer", conn->peer.address),
                         LOG_STR("reason", conn->reason),
                         LOG_U64("calls", h2_counters(conn->session)->streams_opened)));
    if (h2_counters(conn->session)->floods)
        metric_limit(net->config.metrics, L_FLOOD);
    h2_destroy(conn->session);
    list_remove(&conn->link);
    net->conn_count--;
    net->member->connections--;
    if (conn->yields)
        net->member->yielding--;
    metric_down(net->config.metrics, M_CONNECTIONS);
    conn_free(conn);
    net_close_if_idle(net);
}

/* Tells a peer over TLS that this is the end, or why, if the socket takes it now. */
static void say_goodbye(struct conn *conn)
{
    struct tls_buffer *cipher = &conn->net->cipher;
    uv_buf_t buf;

    cipher->count = 0;
    tls_shutdown(conn->tls->session, cipher);
    buf = uv_buf_init((char *)cipher->bytes, (unsigned)cipher->count);
    if (cipher->count > 0)
        uv_try_write(&conn->io.stream, &buf, 1);
    cipher->count = 0;
}

void conn_close(struct conn *conn, const char *reason)
{
    struct timers *timers = conn->net->config.timers;

    if (!state_try(&conn_states, &conn->state, CONN_CLOSING))
        return;
    conn->reason = reason;
    if (conn->tls && !conn->writing && !conn->said_goodbye)
        say_goodbye(conn);
    timer_disarm(timers, &conn->handshake);
    timer_disarm(timers, &conn->stall);
    timer_disarm(timers, &conn->patience);
    timer_disarm(timers, &conn->aging);
    list_remove(&conn->flush_link);
    uv_close(&conn->io.handle, on_closed);
}

/* If the socket were closed now, the kernel would answer what the peer still sends, a
 * WINDOW_UPDATE for instance, with a reset, and the peer could lose the end of a reply. */
void conn_linger(struct conn *conn)
{
    struct timers *timers = conn->net->config.timers;
    uv_os_fd_t fd;

    if (conn->yields || conn->net->state == NET_ABORTING ||
        uv_fileno(&conn->io.handle, &fd) != 0) {
        conn_close(conn, "done");
        return;
    }
    state_move(&conn_states, &conn->state, CONN_LINGERING);
    if (conn->tls) {
        say_goodbye(conn);
        conn->said_goodbye = true;
    }
    shutdown(fd, SHUT_WR);
    timer_disarm(timers, &conn->handshake);
    timer_arm(timers, &conn->patience, after_ms(LINGER_MS));
}

void conn_stop_uploads(struct conn *conn)
{
    if (conn->patience.due_ns == 0 && h2_has_uploads_to_stop(conn->session))
        timer_arm(conn->net->config.timers, &conn->patience, after_ms(UPLOAD_STOP_MS));
}

void conn_on_patience(struct timer *timer)
{
    struct conn *conn = LIST_OWNER(timer, struct conn, patience);

    if (conn->state == CONN_LINGERING) {
        conn_close(conn, "done");
        return;
    }
    h2_stop_uploads(conn->session);
    conn_stop_uploads(conn);
    conn_schedule_flush(conn);
}

void conn_drain(struct conn *conn)
{
    if (conn->state == CONN_OPEN)
        h2_drain(conn->session);
}

/* False: bytes that were sent are not acknowledged, or will never be. */
static bool is_reached(const struct conn *conn)
{
    int unacknowledged = 0;
    uv_os_fd_t fd;

    if (conn->peer.unix_socket)
        return true;
    return uv_fileno(&conn->io.handle, &fd) == 0 &&
           ioctl(fd, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0;
}

bool conn_is_awaited(const struct conn *conn, uint64_t now)
{
    const struct net *net = conn->net;
    const uint64_t half = (net->drain_until_ns - net->drain_from_ns) / 2;
    const uint64_t active =
        conn->active_ns > net->drain_from_ns ? conn->active_ns : net->drain_from_ns;

    if (conn->state != CONN_OPEN || now >= net->drain_from_ns + half)
        return false;
    if (h2_streams(conn->session) > 0)
        return true;
    return h2_counters(conn->session)->streams_opened > 0 &&
           now < active + DRAIN_IDLE_MS * 1000000ull && is_reached(conn);
}

void conn_drain_finish(struct conn *conn)
{
    if (conn->state == CONN_OPEN)
        h2_drain_finish(conn->session);
    else if (conn->state == CONN_SECURING || conn->state == CONN_GREETING)
        conn_close(conn, "drain");
}
