/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/transport.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

bool transport_refusal(const uint8_t *bytes, size_t count, char why[TLS_WORDS_BYTES])
{
    const char *other = other_protocol(bytes, count);
    size_t text = count > TEXT_AT ? count - TEXT_AT : 0;

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

/* Waits until the socket is ready. False: the time is over. */
static bool wait_for(const struct transport *transport, short events,
                     uint64_t deadline_ns)
{
    struct pollfd poll_fd = {.fd = transport->fd, .events = events};
    int ready;

    do {
        ready = poll(&poll_fd, 1, address_budget_ms(deadline_ns));
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

static int no_answer(const struct address *address, struct failure *failure)
{
    return fail(failure, TRIT_DEADLINE_EXCEEDED, NULL,
                "deadline exceeded during the TLS handshake with %s", address->text);
}

static int refused(const struct address *address, const char *words,
                   struct failure *failure)
{
    return fail(failure, TRIT_UNAVAILABLE, NULL, "cannot connect to %s by TLS: %s",
                address->text, words);
}

/* One turn of the handshake: sends what there is, waits for an answer, reads it. */
static int handshake_turn(struct transport *transport, const struct address *address,
                          uint64_t deadline_ns, struct failure *failure)
{
    ssize_t got;

    while (send_cipher(transport) == SENDQ_BLOCKED)
        if (!wait_for(transport, POLLOUT, deadline_ns))
            return no_answer(address, failure);
    if (tls_state(transport->tls) == TLS_FAILED)
        return refused(address, tls_words(transport->tls), failure);
    if (tls_state(transport->tls) == TLS_OPEN)
        return 0;
    if (!wait_for(transport, POLLIN, deadline_ns))
        return no_answer(address, failure);
    got = transport_receive(transport);
    if (got == 0)
        return refused(address,
                       "the peer closed the connection during the handshake; the port "
                       "may be a plain one",
                       failure);
    if (got < 0 && errno != EAGAIN && errno != EINTR)
        return refused(address, strerror(errno), failure);
    return 0;
}

static int handshake(struct transport *transport, const struct address *address,
                     uint64_t deadline_ns, struct failure *failure)
{
    struct tls_session *tls = transport->tls;

    while (tls_state(tls) == TLS_HANDSHAKE) {
        if (tls_handshake(tls, &transport->cipher) == TLS_FAILED)
            tls_shutdown(tls, &transport->cipher);
        if (handshake_turn(transport, address, deadline_ns, failure) < 0)
            return -1;
    }
    return 0;
}

static int open_tls(struct transport *transport, const struct address *address,
                    const struct secure *secure, uint64_t deadline_ns,
                    struct failure *failure)
{
    transport->cipher.size = TRANSPORT_CIPHER_BYTES;
    transport->cipher.bytes = malloc(TRANSPORT_CIPHER_BYTES);
    if (!transport->cipher.bytes)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "out of memory for a connection");
    if (tls_session_create(&transport->tls, secure->context, secure->server_name,
                           failure) < 0)
        return -1;
    return handshake(transport, address, deadline_ns, failure);
}

int transport_open(struct transport *transport, const struct address *address,
                   const struct secure *secure, uint64_t deadline_ns,
                   struct failure *failure)
{
    const uint64_t give_up = address_give_up(deadline_ns);

    transport->tls = NULL;
    transport->cipher = (struct tls_buffer){.bytes = NULL};
    transport->cipher_sent = transport->plain_count = 0;
    transport->fd = address_connect(address, deadline_ns, failure);
    if (transport->fd < 0)
        return -1;
    if (secure && open_tls(transport, address, secure, give_up, failure) < 0) {
        transport_abandon(transport);
        return -1;
    }
    return 0;
}

void transport_abandon(struct transport *transport)
{
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
