/* SPDX-License-Identifier: Apache-2.0 */
#include "web/http_conn.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "web/reply.h"

static const struct state_row rows[HTTP_STATES] = {
    [HTTP_READING] = {"reading", STATE_TO(HTTP_ANSWERING) | STATE_TO(HTTP_REFUSING) |
                                     STATE_TO(HTTP_CLOSED)},
    [HTTP_ANSWERING] = {"answering", STATE_TO(HTTP_READING) | STATE_TO(HTTP_REFUSING) |
                                         STATE_TO(HTTP_STREAMING) |
                                         STATE_TO(HTTP_LINGERING) |
                                         STATE_TO(HTTP_CLOSED)},
    [HTTP_REFUSING] = {"refusing", STATE_TO(HTTP_LINGERING) | STATE_TO(HTTP_CLOSED)},
    [HTTP_STREAMING] = {"streaming", STATE_TO(HTTP_CLOSED)},
    [HTTP_LINGERING] = {"lingering", STATE_TO(HTTP_CLOSED)},
    [HTTP_CLOSED] = {"closed", 0},
};
const struct states http_states = STATES("http_conn", rows);

static void move(struct http_conn *conn, enum http_state to)
{
    state_move(&http_states, &conn->state, to);
}

static uint64_t deadline_from(const struct http_conn *conn, uint64_t now_ns)
{
    return now_ns + conn->shared->limits->http_request_ms_max * 1000000u;
}

struct http_conn *http_conn_create(const struct http_shared *shared, int fd,
                                   const struct ip *ip, const struct peer *peer,
                                   uint64_t now_ns)
{
    struct http_conn *conn = malloc(sizeof(*conn));

    if (!conn) {
        close(fd);
        return NULL;
    }
    memset(conn, 0, offsetof(struct http_conn, in));
    if (http_io_open(&conn->io, fd, shared->tls) < 0) {
        free(conn);
        return NULL;
    }
    conn->shared = shared;
    conn->ours = conn->theirs = -1;
    conn->state = HTTP_READING;
    conn->ip = *ip;
    conn->peer = *peer;
    conn->deadline_ns = deadline_from(conn, now_ns);
    return conn;
}

static void leave_engine(struct http_conn *conn)
{
    if (conn->ours >= 0)
        close(conn->ours);
    conn->ours = conn->theirs = -1;
}

void http_conn_destroy(struct http_conn *conn)
{
    leave_engine(conn);
    http_io_close(&conn->io);
    free(conn);
}

short http_conn_client_events(const struct http_conn *conn)
{
    switch ((enum http_state)conn->state) {
    case HTTP_READING:
    case HTTP_LINGERING:
        return (short)(http_io_wants_to_write(&conn->io) ? POLLIN | POLLOUT : POLLIN);
    case HTTP_STREAMING:
        return (short)(conn->out_at < conn->out_count ? POLLIN | POLLOUT : POLLIN);
    case HTTP_ANSWERING:
    case HTTP_REFUSING:
        return conn->out_at < conn->out_count || http_io_wants_to_write(&conn->io)
                   ? POLLOUT
                   : 0;
    case HTTP_CLOSED:
    case HTTP_STATES:
        break;
    }
    return 0;
}

short http_conn_engine_events(const struct http_conn *conn)
{
    return conn->state == HTTP_ANSWERING && conn->out_at == conn->out_count ? POLLIN : 0;
}

/* ---- replies of our own -------------------------------------------------------------- */

static void linger(struct http_conn *conn)
{
    move(conn, HTTP_LINGERING);
    http_io_finish(&conn->io);
    conn->deadline_ns = clock_monotonic_ns() + HTTP_LINGER_MS * (uint64_t)1000000;
}

/* True when all of `out` has gone. */
static bool send_out(struct http_conn *conn)
{
    ssize_t sent = 0;

    while (sent >= 0 && conn->out_at < conn->out_count) {
        sent = http_io_send(&conn->io, conn->out + conn->out_at,
                            conn->out_count - conn->out_at);
        if (sent == 0)
            return false;
        if (sent > 0) {
            conn->out_at += (size_t)sent;
            conn->passed = true;
        }
    }
    if (sent >= 0)
        sent = http_io_flush(&conn->io);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        move(conn, HTTP_CLOSED);
    return sent >= 0;
}

void http_conn_refuse(struct http_conn *conn, unsigned http_status,
                      const struct failure *failure)
{
    struct text document = {0};

    leave_engine(conn);
    metric_http(conn->shared->metrics, SIZE_MAX, http_status);
    log_event(conn->shared->log, LOG_INFO, "http_refused",
              LOG_FIELDS(LOG_STR("peer", conn->peer.address),
                         LOG_U64("status", http_status),
                         LOG_STR("message", failure->message)));
    reply_document(&document, http_status, !conn->bodiless, failure);
    if (document.failed || document.count > sizeof(conn->out)) {
        text_fini(&document);
        move(conn, HTTP_CLOSED);
        return;
    }
    memcpy(conn->out, document.bytes, document.count);
    conn->out_at = 0;
    conn->out_count = document.count;
    text_fini(&document);
    move(conn, HTTP_REFUSING);
    conn->deadline_ns = clock_monotonic_ns() + HTTP_LINGER_MS * (uint64_t)1000000;
    if (send_out(conn))
        linger(conn);
}

void http_conn_expire(struct http_conn *conn)
{
    struct failure failure = {.status = TRIT_OK};

    if (conn->state == HTTP_READING && conn->in_count > 0) {
        metric_limit(conn->shared->metrics, L_HTTP_REQUEST);
        fail(&failure, TRIT_DEADLINE_EXCEEDED, NULL,
             "the request was not complete after http_request_ms = %" PRIu64 " ms",
             conn->shared->limits->http_request_ms_max);
        http_conn_refuse(conn, 408, &failure);
        return;
    }
    if (conn->state == HTTP_ANSWERING)
        metric_limit(conn->shared->metrics, L_HTTP_REQUEST);
    move(conn, HTTP_CLOSED);
}

/* ---- the request --------------------------------------------------------------------- */

static void drop_input(struct http_conn *conn, size_t count)
{
    memmove(conn->in, conn->in + count, conn->in_count - count);
    conn->in_count -= count;
}

static int pair_sockets(struct http_conn *conn, int pair[2])
{
    enum { KIND = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK };

    if (socketpair(AF_UNIX, KIND, 0, pair) == 0)
        return 0;
    if ((errno != EMFILE && errno != ENFILE) ||
        !conn->shared->need_descriptors(conn->shared->front))
        return -1;
    conn->borrowed = true;
    return socketpair(AF_UNIX, KIND, 0, pair);
}

/* Gives the engine the head, which fits into the socket's buffer. */
static int begin(struct http_conn *conn, size_t length)
{
    int pair[2];

    if (pair_sockets(conn, pair) < 0)
        return -1;
    if (send(pair[0], conn->in, length, MSG_NOSIGNAL) != (ssize_t)length) {
        close(pair[0]);
        close(pair[1]);
        return -1;
    }
    conn->ours = pair[0];
    conn->theirs = pair[1];
    if (conn->shared->give(conn->shared->engine, pair[1]) < 0) {
        leave_engine(conn);
        return -1;
    }
    conn->replied = conn->ended = conn->last = conn->passed = conn->streams = false;
    conn->out_at = conn->out_count = 0;
    move(conn, HTTP_ANSWERING);
    return 0;
}

/* Begins the request in `in`, if it is whole. Empty lines before one are dropped. */
static void examine(struct http_conn *conn)
{
    struct failure failure = {.status = TRIT_OK};
    size_t length = 0, empty = 0, cut;

    while (conn->in_count - empty >= 2 && memcmp(conn->in + empty, "\r\n", 2) == 0)
        empty += 2;
    drop_input(conn, empty);
    conn->bodiless = conn->in_count >= 5 && memcmp(conn->in, "HEAD ", 5) == 0;
    switch (head_examine(&conn->head, conn->in, conn->in_count, &length, &failure)) {
    case 0:
        break;
    case 1:
        cut = head_to_path(&conn->head, conn->in, conn->in_count);
        conn->in_count -= cut;
        length -= cut;
        if (begin(conn, length) == 0) {
            drop_input(conn, length);
        } else {
            fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                 "no descriptor or memory is left for the request; try again later");
            http_conn_refuse(conn, 503, &failure);
        }
        break;
    default:
        if (conn->head.http_status == 414 || conn->head.http_status == 431)
            metric_limit(conn->shared->metrics, L_HTTP_HEAD);
        http_conn_refuse(conn, conn->head.http_status, &failure);
    }
}

/* A client that speaks HTTP without TLS hears that it must use TLS. */
static void refuse_plain(struct http_conn *conn)
{
    struct failure failure = {.status = TRIT_OK};

    fail(&failure, TRIT_INVALID_ARGUMENT, NULL,
         "plain HTTP on a port of TLS: use https://");
    http_conn_refuse(conn, 400, &failure);
}

static void note_failure(const struct http_conn *conn)
{
    const char *why = http_io_failure(&conn->io);

    if (!why)
        return;
    metric_add(conn->shared->metrics, M_TLS_FAILURES, 1);
    log_event(conn->shared->log, LOG_WARN, "http_tls_failed",
              LOG_FIELDS(LOG_STR("peer", conn->peer.address), LOG_STR("error", why)));
}

/* False: there is nothing more to read now. */
static bool read_some(struct http_conn *conn, uint64_t now_ns)
{
    ssize_t got = http_io_recv(&conn->io, conn->in + conn->in_count,
                               sizeof(conn->in) - conn->in_count);

    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    if (got < 0 && errno == EPROTO) {
        refuse_plain(conn);
        return false;
    }
    if (got <= 0) {
        note_failure(conn);
        move(conn, HTTP_CLOSED);
        return false;
    }
    if (conn->io.secure && !conn->peer.encrypted) {
        conn->peer.encrypted = true;
        snprintf(conn->peer.subject, sizeof(conn->peer.subject), "%s",
                 http_io_subject(&conn->io));
    }
    if (conn->in_count == 0 && conn->passed) /* of a further request */
        conn->deadline_ns = deadline_from(conn, now_ns);
    conn->in_count += (size_t)got;
    examine(conn);
    return true;
}

/* A session may hold several records: poll does not tell of those. */
static void read_request(struct http_conn *conn, uint64_t now_ns)
{
    while (conn->state == HTTP_READING && read_some(conn, now_ns))
        continue;
}

/* ---- the reply ------------------------------------------------------------------------- */

/* The library answered by itself: its page becomes our document. */
static void replace_page(struct http_conn *conn, const char *page, size_t count)
{
    struct failure failure = {.status = TRIT_OK};
    unsigned http_status = 500;

    if (count > 12 && memcmp(page, "HTTP/1.", 7) == 0)
        http_status = (unsigned)atoi(page + 9);
    if (http_status == 413 || http_status == 414 || http_status == 431)
        fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL, "the request is too large");
    else if (http_status >= 400 && http_status < 500)
        fail(&failure, TRIT_INVALID_ARGUMENT, NULL, "the request is malformed");
    else
        fail(&failure, TRIT_INTERNAL, NULL, "the request could not be answered");
    http_conn_refuse(conn, http_status, &failure);
}

static void reply_over(struct http_conn *conn, uint64_t now_ns)
{
    leave_engine(conn);
    if (conn->last) {
        linger(conn);
        return;
    }
    move(conn, HTTP_READING);
    conn->deadline_ns = deadline_from(conn, now_ns);
    if (conn->in_count > 0)
        examine(conn);
    if (conn->io.secure)
        read_request(conn, now_ns);
}

/* Takes bytes of the reply from the engine. False: there is nothing to pass on now. */
static bool take_reply(struct http_conn *conn, uint64_t now_ns)
{
    struct failure failure = {.status = TRIT_OK};
    ssize_t got = recv(conn->ours, conn->out, sizeof(conn->out) - 1, MSG_DONTWAIT);

    if (got > 0) {
        conn->out[got] = '\0';
        conn->out_at = 0;
        conn->out_count = (size_t)got;
        if (conn->replied)
            return true;
        replace_page(conn, conn->out, (size_t)got);
        return false;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        if (conn->ended)
            reply_over(conn, now_ns);
        return false;
    }
    if (conn->streams) {
        leave_engine(conn);
        move(conn, HTTP_STREAMING);
        return false;
    }
    if (conn->passed) {
        conn->last = true;
        reply_over(conn, now_ns);
        return false;
    }
    fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    http_conn_refuse(conn, 503, &failure);
    return false;
}

static void pass_reply(struct http_conn *conn, uint64_t now_ns)
{
    while (conn->state == HTTP_ANSWERING) {
        if (!send_out(conn))
            return;
        conn->out_at = conn->out_count = 0;
        if (!take_reply(conn, now_ns))
            return;
    }
}

/* ---- a turn ------------------------------------------------------------------------------ */

static void drain_input(struct http_conn *conn)
{
    ssize_t got;

    http_io_flush(&conn->io);
    do
        got = http_io_recv(&conn->io, conn->in, sizeof(conn->in));
    while (got > 0);
    if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
        move(conn, HTTP_CLOSED);
}

void http_conn_step(struct http_conn *conn, short revents, uint64_t now_ns)
{
    if (revents & (POLLERR | POLLNVAL) && conn->state != HTTP_CLOSED) {
        move(conn, HTTP_CLOSED);
        return;
    }
    switch ((enum http_state)conn->state) {
    case HTTP_READING:
        if (revents)
            read_request(conn, now_ns);
        break;
    case HTTP_ANSWERING:
        if (revents & POLLHUP)
            move(conn, HTTP_CLOSED);
        else
            pass_reply(conn, now_ns);
        break;
    case HTTP_REFUSING:
        if (send_out(conn))
            linger(conn);
        break;
    case HTTP_STREAMING:
        if (revents & (POLLIN | POLLHUP)) /* it has gone: a client has nothing to say */
            drain_input(conn);
        if (conn->state == HTTP_STREAMING)
            send_out(conn);
        break;
    case HTTP_LINGERING:
        if (revents)
            drain_input(conn);
        break;
    case HTTP_CLOSED:
    case HTTP_STATES:
        break;
    }
}
