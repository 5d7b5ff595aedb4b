/* SPDX-License-Identifier: Apache-2.0 */
#include "web/http_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TLS_FIRST_BYTE = 0x16 }; /* a handshake record */

int http_io_open(struct http_io *io, int fd, struct tls_context *tls)
{
    struct failure failure = {.status = TRIT_OK};
    struct http_secure *secure = NULL;

    if (tls) {
        secure = malloc(sizeof(*secure));
        if (secure)
            memset(secure, 0, offsetof(struct http_secure, raw));
        if (!secure || tls_session_create_http1(&secure->session, tls, &failure) < 0) {
            free(secure);
            close(fd);
            return -1;
        }
        secure->cipher.bytes = secure->cipher_bytes;
        secure->cipher.size = sizeof(secure->cipher_bytes);
    }
    *io = (struct http_io){.fd = fd, .secure = secure};
    return 0;
}

static void drop_tls(struct http_io *io)
{
    if (io->secure)
        tls_session_destroy(io->secure->session);
    free(io->secure);
    io->secure = NULL;
}

void http_io_close(struct http_io *io)
{
    drop_tls(io);
    close(io->fd);
}

/* ---- writing ---------------------------------------------------------------------- */

static ssize_t send_plain(const struct http_io *io, const void *bytes, size_t count)
{
    ssize_t sent;

    do
        sent = send(io->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent;
}

int http_io_flush(struct http_io *io)
{
    struct http_secure *secure = io->secure;

    while (secure && secure->cipher_sent < secure->cipher.count) {
        ssize_t sent = send_plain(io, secure->cipher.bytes + secure->cipher_sent,
                                  secure->cipher.count - secure->cipher_sent);

        if (sent < 0)
            return -1;
        secure->cipher_sent += (size_t)sent;
    }
    if (secure)
        secure->cipher_sent = secure->cipher.count = 0;
    return 0;
}

bool http_io_wants_to_write(const struct http_io *io)
{
    return io->secure && io->secure->cipher_sent < io->secure->cipher.count;
}

ssize_t http_io_send(struct http_io *io, const void *bytes, size_t count)
{
    const struct iovec iov = {(void *)(uintptr_t)bytes, count};
    ssize_t taken;

    if (!io->secure)
        return send_plain(io, bytes, count);
    if (http_io_flush(io) < 0)
        return -1;
    taken = tls_write(io->secure->session, &iov, 1, &io->secure->cipher);
    if (taken < 0)
        errno = EPIPE;
    else if (http_io_flush(io) < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        return -1;
    return taken;
}

void http_io_finish(struct http_io *io)
{
    if (io->secure && http_io_flush(io) == 0) {
        tls_shutdown(io->secure->session, &io->secure->cipher);
        http_io_flush(io);
    }
    shutdown(io->fd, SHUT_WR);
}

/* ---- reading ---------------------------------------------------------------------- */

/* Reads from the socket for the session. 1: it has input. Else as recv. */
static ssize_t feed(struct http_io *io)
{
    struct http_secure *secure = io->secure;
    bool first = !secure->fed && tls_state(secure->session) == TLS_HANDSHAKE;
    ssize_t got;

    do
        got = recv(io->fd, secure->raw, sizeof(secure->raw),
                   MSG_DONTWAIT | (first ? MSG_PEEK : 0));
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return got;
    if (first && secure->raw[0] != TLS_FIRST_BYTE) {
        drop_tls(io);
        errno = EPROTO;
        return -1;
    }
    if (first) /* what was peeked at is taken now */
        got = recv(io->fd, secure->raw, (size_t)got, MSG_DONTWAIT);
    if (got <= 0)
        return got;
    tls_feed(secure->session, secure->raw, (size_t)got);
    secure->fed = true;
    return 1;
}

/* Lets the session work on its input until it has plaintext or needs more. False: it is
 * over. */
static bool work(struct http_io *io)
{
    struct http_secure *secure = io->secure;
    enum tls_state state = tls_state(secure->session);

    if (state == TLS_HANDSHAKE) {
        state = tls_handshake(secure->session, &secure->cipher);
        if (state == TLS_FAILED)
            tls_shutdown(secure->session, &secure->cipher);
        if (http_io_flush(io) < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            return false;
    }
    if (state == TLS_OPEN) {
        secure->plain_count = tls_read(secure->session, &secure->plain);
        state = tls_state(secure->session);
    }
    return secure->plain_count > 0 || state == TLS_HANDSHAKE || state == TLS_OPEN;
}

ssize_t http_io_recv(struct http_io *io, void *bytes, size_t count)
{
    struct http_secure *secure = io->secure;
    ssize_t got = 1;

    if (!secure) {
        do
            got = recv(io->fd, bytes, count, MSG_DONTWAIT);
        while (got < 0 && errno == EINTR);
        return got;
    }
    while (secure->plain_count == 0) {
        if (!work(io))
            return 0;
        if (secure->plain_count == 0 && (got = feed(io)) <= 0)
            return got;
    }
    count = count < secure->plain_count ? count : secure->plain_count;
    memcpy(bytes, secure->plain, count);
    secure->plain += count;
    secure->plain_count -= count;
    return (ssize_t)count;
}

const char *http_io_failure(const struct http_io *io)
{
    return io->secure && tls_state(io->secure->session) == TLS_FAILED
               ? tls_words(io->secure->session)
               : NULL;
}

const char *http_io_subject(const struct http_io *io)
{
    return io->secure ? tls_subject(io->secure->session) : "";
}
