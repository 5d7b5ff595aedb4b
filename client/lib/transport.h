/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of one connection, plain or over TLS. It never blocks, except while a host name
 * is resolved; its owner polls.
 *
 *     transport_begin -> transport_step* -> (flush, receive, take)* -> transport_close */
#ifndef LIB_TRANSPORT_H
#define LIB_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/lib/connect.h"
#include "client/lib/secure.h"
#include "client/lib/sendq.h"
#include "tls/tls.h"

enum {
    TRANSPORT_READ_BYTES = 256 << 10,
    TRANSPORT_CIPHER_BYTES = 16 * TLS_RECORD_ROOM, /* of 256 KiB of plaintext */
};

struct transport {
    int fd; /* -1: it connects */
    struct connecting connecting;
    const struct secure *secure; /* borrowed; NULL: plain */
    struct tls_session *tls;     /* NULL: plain */
    bool greeted;                /* the peer's first bytes have been looked at */
    struct tls_buffer cipher;    /* over TLS: bytes on their way out */
    size_t cipher_sent;          /* of them, already sent */
    const uint8_t *plain;        /* plain: what was read and not taken yet */
    size_t plain_count;
    uint8_t input[TRANSPORT_READ_BYTES];
};

/* Begins to connect, plain if `secure` has no context. Address and `secure` are borrowed. -1:
 * UNAVAILABLE, and nothing is to be closed. */
int transport_begin(struct transport *transport, const struct address *address,
                    const struct secure *secure, uint64_t deadline_ns,
                    struct failure *failure);

/* Goes on with connecting and the TLS handshake. 1: it is open. 0: not yet; poll. -1:
 * UNAVAILABLE, DEADLINE_EXCEEDED or RESOURCE_EXHAUSTED (out of memory); abandon it. */
int transport_step(struct transport *transport, struct failure *failure);

/* While it opens: what to poll for, at most CONNECT_SOCKETS_MAX entries; and when
 * transport_step has something to do, if nothing happens before. Until the daemon's settings
 * come: when it is late. */
size_t transport_polls(const struct transport *transport, struct pollfd *polls);
uint64_t transport_wake_ns(const struct transport *transport);

/* Whether the time for connecting is over, in which the daemon's HTTP/2 settings must come. */
bool transport_is_late(const struct transport *transport);

/* Checks that others cannot read what is sent: by TLS, or to this machine. -1:
 * FAILED_PRECONDITION of the token. */
int transport_check_private(const struct transport *transport, struct failure *failure);

/* Says over TLS that this is the end, if the socket takes it now, and closes. */
void transport_close(struct transport *transport);
/* Closes the descriptor and sends nothing. */
void transport_abandon(struct transport *transport);

/* Reads from the socket. As recv(2): 0 is the end, -1 sets errno. Only when
 * transport_take has returned 0. */
ssize_t transport_receive(struct transport *transport);
/* Takes bytes that were received: *bytes stays valid until the next call. 0: none is
 * left. */
size_t transport_take(struct transport *transport, const uint8_t **bytes);
/* NULL, or why the peer's input has ended, in plain words. */
const char *transport_ended(const struct transport *transport);

/* Whether these are the peer's first bytes, and refuse the connection: a GOAWAY in place of
 * SETTINGS, as from a port that speaks TLS to a client without, or bytes of another protocol.
 * Then writes the reason. */
bool transport_refusal(struct transport *transport, const uint8_t *bytes, size_t count,
                       char why[TLS_WORDS_BYTES]);

/* Sends what the queue has, as far as the socket takes it. */
enum sendq_result transport_flush(struct transport *transport, struct sendq *queue);
/* Bytes that have left the queue, and that the kernel has not accepted yet. */
size_t transport_pending(const struct transport *transport);

#endif
