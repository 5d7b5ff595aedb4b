/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/transport.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

/* ---- sending ------------------------------------------------------------------ */

size_t transport_pending(const struct transport *transport)
{
    return transport->cipher.count - transport->cipher_sent;
}

/* Sends ciphertext until the buffer is empty or the socket takes no more. */
static enum sendq_result send_cipher(struct transport *transport)
{
    struct tls_buffer *cipher = &transport->cipher;

    while (transport_pending(transport) > 0) {
        ssize_t sent = send(transport->fd, cipher->bytes + transport->cipher_sent,
                            transport_pending(transport), MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent >= 0)
            transport->cipher_sent += (size_t)sent;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return SENDQ_BLOCKED;
        else if (errno != EINTR)
            return SENDQ_FAILED;
    }
    cipher->count = transport->cipher_sent = 0;
    return SENDQ_EMPTIED;
}

enum sendq_result transport_flush(struct transport *transport, struct sendq *queue)
{
    enum sendq_result result;
    const struct iovec *slices;
    size_t count;
    ssize_t taken;

    if (!transport->tls)
        return sendq_flush(queue, transport->fd);
    for (;;) {
        result = send_cipher(transport);
        if (result != SENDQ_EMPTIED || sendq_empty(queue))
            return result;
        slices = sendq_slices(queue, &count);
        taken = tls_write(transport->tls, slices, count, &transport->cipher);
        if (taken < 0) {
            errno = EPROTO;
            return SENDQ_FAILED;
        }
        sendq_advance(queue, (size_t)taken);
    }
}

/* ---- receiving ------------------------------------------------------------------ */

ssize_t transport_receive(struct transport *transport)
{
    ssize_t got =
        recv(transport->fd, transport->input, sizeof(transport->input), MSG_DONTWAIT);

    if (got <= 0)
        return got;
    if (transport->tls) {
        tls_feed(transport->tls, transport->input, (size_t)got);
    } else {
        transport->plain = transport->input;
        transport->plain_count = (size_t)got;
    }
    return got;
}

size_t transport_take(struct transport *transport, const uint8_t **bytes)
{
    size_t count = transport->plain_count;

    if (transport->tls)
        return tls_read(transport->tls, bytes);
    *bytes = transport->plain;
    transport->plain_count = 0;
    return count;
}

const char *transport_ended(const struct transport *transport)
{
    if (!transport->tls)
        return NULL;
    switch (tls_state(transport->tls)) {
    case TLS_CLOSED:
        return "closed by the daemon";
    case TLS_FAILED:
        return tls_words(transport->tls);
    case TLS_HANDSHAKE:
    case TLS_OPEN:
        break;
    }
    return NULL;
}

enum { GOAWAY = 7, TYPE_AT = 3, TEXT_AT = 17 };

/* NULL where the first bytes can be a frame of HTTP/2. */
static const char *other_protocol(const uint8_t *bytes, size_t count)
{
    static const char http1[] = "HTTP/";

    if (count >= sizeof(http1) - 1 && memcmp(bytes, http1, sizeof(http1) - 1) == 0)
        return "it speaks HTTP/1, not gRPC; tritd's pages (--http) have another address "
               "than its gRPC (--listen)";
    if (count > TYPE_AT && bytes[TYPE_AT] >= ' ') /* no frame has such a type */
        return "it does not speak HTTP/2, which gRPC needs";
    return NULL;
}

bool transport_refusal(struct transport *transport, const uint8_t *bytes, size_t count,
                       char why[TLS_WORDS_BYTES])
{
    const char *other = other_protocol(bytes, count);
    size_t text = count > TEXT_AT ? count - TEXT_AT : 0;

    if (transport->greeted)
        return false;
    transport->greeted = true;
    if (other) {
        snprintf(why, TLS_WORDS_BYTES, "%s", other);
        return true;
    }
    if (text == 0 || bytes[TYPE_AT] != GOAWAY)
        return false;
    if (text >= TLS_WORDS_BYTES)
        text = TLS_WORDS_BYTES - 1;
    memcpy(why, bytes + TEXT_AT, text);
    why[text] = '\0';
    return true;
}

/* ---- opening and closing ---------------------------------------------------------- */

static int refused(const struct transport *transport, const char *words,
                   struct failure *failure)
{
    return fail(failure, TRIT_UNAVAILABLE, NULL, "cannot connect to %s by TLS: %s",
                transport->connecting.address->text, words);
}

/* Sends what the handshake has; false: the socket takes no more now. If it takes nothing
 * any more, the input says why. */
static bool send_handshake(struct transport *transport)
{
    const enum sendq_result sent = send_cipher(transport);

    if (sent == SENDQ_FAILED)
        transport->cipher.count = transport->cipher_sent = 0;
    return sent != SENDQ_BLOCKED;
}

/* Reads for the handshake. 1: something. 0: nothing has come. */
static int receive_handshake(struct transport *transport, struct failure *failure)
{
    const ssize_t got = transport_receive(transport);

    if (got > 0 || (got < 0 && errno == EINTR))
        return 1;
    if (got == 0)
        return refused(transport,
                       "the peer closed the connection during the handshake; the port "
                       "may be a plain one",
                       failure);
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        return refused(transport, strerror(errno), failure);
    return 0;
}

/* As far as the socket allows now. 1: done. 0: not yet. */
static int handshake(struct transport *transport, struct failure *failure)
{
    struct tls_session *tls = transport->tls;
    int got = 1;

    while (got > 0) {
        if (transport_pending(transport) == 0 && tls_state(tls) == TLS_HANDSHAKE &&
            tls_handshake(tls, &transport->cipher) == TLS_FAILED)
            tls_shutdown(tls, &transport->cipher);
        if (!send_handshake(transport))
            return 0;
        if (tls_state(tls) == TLS_FAILED)
            return refused(transport, tls_words(tls), failure);
        if (tls_state(tls) == TLS_OPEN)
            return 1;
        got = receive_handshake(transport, failure);
    }
    return got;
}

static int begin_tls(struct transport *transport, struct failure *failure)
{
    const struct secure *secure = transport->secure;

    transport->cipher.size = TRANSPORT_CIPHER_BYTES;
    transport->cipher.bytes = malloc(TRANSPORT_CIPHER_BYTES);
    if (!transport->cipher.bytes)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "out of memory for a connection");
    return tls_session_create(&transport->tls, secure->context, secure->server_name,
                              failure);
}

int transport_begin(struct transport *transport, const struct address *address,
                    const struct secure *secure, uint64_t deadline_ns,
                    struct failure *failure)
{
    transport->fd = -1;
    transport->secure = secure->context ? secure : NULL;
    transport->tls = NULL;
    transport->cipher = (struct tls_buffer){.bytes = NULL};
    transport->cipher_sent = transport->plain_count = 0;
    transport->greeted = false;
    return connect_begin(&transport->connecting, address, deadline_ns, failure);
}

static int step_connecting(struct transport *transport, struct failure *failure)
{
    const int result = connect_step(&transport->connecting, &transport->fd, failure);

    if (result <= 0)
        return result;
    connect_end(&transport->connecting);
    return transport->secure && begin_tls(transport, failure) < 0 ? -1 : 1;
}

int transport_step(struct transport *transport, struct failure *failure)
{
    int result = transport->fd >= 0 ? 1 : step_connecting(transport, failure);

    if (result <= 0 || !transport->secure)
        return result;
    result = handshake(transport, failure);
    return result != 0 ? result
                       : connect_time(&transport->connecting,
                                      "during the TLS handshake with", failure);
}

size_t transport_polls(const struct transport *transport, struct pollfd *polls)
{
    const bool writes = transport_pending(transport) > 0;

    if (transport->fd < 0)
        return connect_polls(&transport->connecting, polls);
    polls[0] = (struct pollfd){.fd = transport->fd,
                               .events = (short)(POLLIN | (writes ? POLLOUT : 0))};
    return 1;
}

uint64_t transport_wake_ns(const struct transport *transport)
{
    return transport->fd < 0 ? connect_wake_ns(&transport->connecting)
                             : transport->connecting.give_up_ns;
}

bool transport_is_late(const struct transport *transport)
{
    return clock_monotonic_ns() >= transport->connecting.give_up_ns;
}

int transport_check_private(const struct transport *transport, struct failure *failure)
{
    if (transport->tls || socket_is_local(transport->fd))
        return 0;
    return fail_field(failure, TRIT_FAILED_PRECONDITION, "token",
                      "not sent to %s over plain TCP, where others can read it: use TLS",
                      transport->connecting.address->text);
}

void transport_abandon(struct transport *transport)
{
    connect_end(&transport->connecting);
    if (transport->fd >= 0)
        close(transport->fd);
    tls_session_destroy(transport->tls);
    free(transport->cipher.bytes);
}

void transport_close(struct transport *transport)
{
    if (transport->tls && transport_pending(transport) == 0) {
        tls_shutdown(transport->tls, &transport->cipher);
        send_cipher(transport);
    }
    transport_abandon(transport);
}
