/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a client connection, with TLS or without. Nothing blocks. */
#ifndef WEB_HTTP_IO_H
#define WEB_HTTP_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"
#include "tls/tls.h"

struct http_secure { /* a session, and the bytes before and behind it */
    struct tls_session *session;
    const uint8_t *plain; /* of a record, not taken yet */
    size_t plain_count;
    bool fed; /* the client has sent something */
    struct tls_buffer cipher;
    size_t cipher_sent;
    uint8_t raw[TLS_RECORD_BYTES_MAX], cipher_bytes[2 * TLS_RECORD_ROOM];
};

struct http_io {
    int fd;
    struct http_secure *secure; /* NULL: plain */
};

/* Takes the descriptor; `tls` NULL: plain. -1: out of memory; the descriptor is closed. */
int http_io_open(struct http_io *io, int fd, struct tls_context *tls);
void http_io_close(struct http_io *io);

/* Like recv and send on a non-blocking socket. EPROTO: a client without TLS on a port of
 * TLS; the io is plain from now on. With TLS, bytes that were sent may still wait here:
 * http_io_flush. A session that fails is the end of the connection: recv gives 0. */
ssize_t http_io_recv(struct http_io *io, void *bytes, size_t count);
ssize_t http_io_send(struct http_io *io, const void *bytes, size_t count);

/* 0: nothing waits to be written. -1: errno. */
int http_io_flush(struct http_io *io);
bool http_io_wants_to_write(const struct http_io *io);

/* Nothing more will be sent. */
void http_io_finish(struct http_io *io);

/* Why the session failed; NULL: it did not. */
const char *http_io_failure(const struct http_io *io);

/* The subject of the client's certificate, once a byte has been received. */
const char *http_io_subject(const struct http_io *io);

#endif
