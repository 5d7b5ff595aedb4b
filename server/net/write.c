/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's output. conn_flush takes a batch from the session and tries to
 * write it at once. conn->write goes on with what the socket does not take, and
 * on_written flushes again. While a write is under way conn_flush takes nothing
 * more from the session, so bytes that a slow peer does not read stay with their
 * owner. The stall timer runs exactly while a write is under way.
 *
 * These failures close the connection: a write error; no byte written for
 * idle_ms_max; a session that is out of memory. */
#include <string.h>

#include "base/account.h"
#include "base/limits.h"
#include "h2/session.h"
#include "net/impl.h"
#include "obs/metrics.h"

static void stall_arm(struct conn *conn)
{
    conn->write_bytes_left = uv_stream_get_write_queue_size(&conn->io.stream);
    timer_arm(conn->net->config.timers, &conn->stall,
              after_ms(conn->net->config.limits->idle_ms_max));
}

/* A peer that reads slowly is not stalled: if any byte was written since, the
 * timer starts again. */
void conn_on_stall(struct timer *timer)
{
    struct conn *conn = LIST_OWNER(timer, struct conn, stall);

    if (uv_stream_get_write_queue_size(&conn->io.stream) < conn->write_bytes_left) {
        stall_arm(conn);
        return;
    }
    metric_limit(conn->net->config.metrics, L_IDLE);
    conn_close(conn, "write_stalled");
}

static void on_written(uv_write_t *write, int status)
{
    struct conn *conn = LIST_OWNER(write, struct conn, write);

    conn->writing = false;
    if (conn->tls) {
        account_free(conn->peer.account, conn->tls->rest);
        conn->tls->rest = NULL;
    }
    timer_disarm(conn->net->config.timers, &conn->stall);
    if (conn->state == CONN_CLOSING)
        return;
    if (status != 0) {
        conn_close(conn, uv_err_name(status));
        return;
    }
    if (!conn->tls)
        h2_produced(conn->session);
    conn_flush(conn);
}

/* Goes on with what uv_try_write left of a batch. */
static int write_rest(struct conn *conn, uv_buf_t *bufs, size_t count, size_t written)
{
    int code;

    while (written >= bufs->len) {
        written -= bufs->len;
        bufs++;
        count--;
    }
    bufs->base += written;
    bufs->len -= written;
    code = uv_write(&conn->write, &conn->io.stream, bufs, (unsigned)count, on_written);
    if (code != 0)
        return code;
    conn->writing = true;
    stall_arm(conn);
    return 0;
}

/* Writes one batch, now or as conn->write. 0, or a libuv code. */
static int write_batch(struct conn *conn, const struct iovec *iov, size_t count)
{
    uv_buf_t bufs[WRITE_IOVECS];
    size_t bytes = 0;
    int written;

    for (size_t i = 0; i < count; i++) {
        bufs[i] = uv_buf_init(iov[i].iov_base, (unsigned)iov[i].iov_len);
        bytes += iov[i].iov_len;
    }
    written = uv_try_write(&conn->io.stream, bufs, (unsigned)count);
    if (written == UV_EAGAIN)
        written = 0;
    if (written < 0)
        return written;
    metric_add(conn->net->config.metrics, M_SENT_BYTES, bytes);
    if ((size_t)written < bytes)
        return write_rest(conn, bufs, count, (size_t)written);
    h2_produced(conn->session);
    return 0;
}

int conn_write_cipher(struct conn *conn)
{
    struct tls_buffer *cipher = &conn->net->cipher;
    uv_buf_t buf = uv_buf_init((char *)cipher->bytes, (unsigned)cipher->count);
    int written = 0;

    cipher->count = 0;
    if (buf.len == 0)
        return 0;
    written = uv_try_write(&conn->io.stream, &buf, 1);
    if (written == UV_EAGAIN)
        written = 0;
    if (written < 0)
        return written;
    metric_add(conn->net->config.metrics, M_SENT_BYTES, buf.len);
    buf.base += written;
    buf.len -= (size_t)written;
    if (buf.len == 0)
        return 0;
    conn->tls->rest = account_alloc_last(conn->peer.account, buf.len);
    if (!conn->tls->rest)
        return UV_ENOMEM;
    memcpy(conn->tls->rest, buf.base, buf.len);
    buf.base = (char *)conn->tls->rest;
    return write_rest(conn, &buf, 1, 0);
}

/* Encrypts as much of h2's batch as net's buffer takes, and writes it. What is encrypted
 * is not needed any more, so the batch may end before it is written. */
static int write_secure(struct conn *conn)
{
    struct conn_tls *tls = conn->tls;
    ssize_t taken;

    conn->net->cipher.count = 0;
    tls->iov[tls->next].iov_base = (uint8_t *)tls->iov[tls->next].iov_base + tls->at;
    tls->iov[tls->next].iov_len -= tls->at;
    taken = tls_write(tls->session, tls->iov + tls->next, tls->count - tls->next,
                      &conn->net->cipher);
    if (taken < 0)
        return UV_EPROTO;
    for (tls->at = (size_t)taken;
         tls->next < tls->count && tls->at >= tls->iov[tls->next].iov_len; tls->next++)
        tls->at -= tls->iov[tls->next].iov_len;
    if (tls->next == tls->count)
        h2_produced(conn->session);
    return conn_write_cipher(conn);
}

enum progress { WROTE, NOTHING_TO_WRITE, CANNOT_WRITE };

static enum progress write_next(struct conn *conn)
{
    struct iovec iov[WRITE_IOVECS];
    struct conn_tls *tls = conn->tls;
    struct iovec *to = tls ? tls->iov : iov;
    size_t count = tls ? SECURE_IOVECS : WRITE_IOVECS;
    struct failure failure;
    int code;

    failure_clear(&failure);
    if (!tls || tls->next == tls->count) {
        if (h2_produce(conn->session, to, &count, &failure) < 0) {
            conn_close(conn, "out_of_memory");
            return CANNOT_WRITE;
        }
        if (count == 0)
            return NOTHING_TO_WRITE;
        if (tls) {
            tls->count = count;
            tls->next = tls->at = 0;
        }
    }
    code = tls ? write_secure(conn) : write_batch(conn, iov, count);
    if (code == 0)
        return tls || conn->writing || h2_has_output(conn->session) ? WROTE
                                                                    : NOTHING_TO_WRITE;
    conn_close(conn, uv_err_name(code));
    return CANNOT_WRITE;
}

static void count_refusals(struct conn *conn)
{
    const uint64_t refused = h2_counters(conn->session)->refused_streams;

    for (; conn->refused_streams < refused; conn->refused_streams++)
        metric_limit(conn->net->config.metrics, L_STREAMS);
}

void conn_flush(struct conn *conn)
{
    enum progress progress = WROTE;

    if (conn->state != CONN_OPEN && conn->state != CONN_FINISHING)
        return;
    for (int batches = 0; !conn->writing && progress == WROTE; batches++) {
        if (batches == WRITE_BATCHES_PER_TURN) {
            conn_schedule_flush(conn);
            return;
        }
        progress = write_next(conn);
    }
    if (progress == CANNOT_WRITE)
        return;
    count_refusals(conn);
    conn_stop_uploads(conn);
    if (conn->writing)
        return;
    if (conn->state == CONN_FINISHING)
        conn_close(conn, conn->reason);
    else if (h2_over(conn->session))
        conn_linger(conn);
}
