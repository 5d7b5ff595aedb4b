/* SPDX-License-Identifier: Apache-2.0 */
/* TLS over memory: certificates, and sessions that turn bytes into bytes. It knows no
 * socket, no event loop and no HTTP/2; its user moves the bytes.
 *
 * A *context* holds certificate, key and authorities of a server or of a client. A
 * *session* is one connection. The user lends it ciphertext (tls_feed) and takes
 * plaintext (tls_read), gives it plaintext (tls_write) and takes ciphertext from the
 * tls_buffer that these functions fill. A session without input and without a buffer
 * waits; nothing is lost.
 *
 * Protocol: TLS 1.2 and 1.3 with AEAD ciphers and ephemeral keys, ALPN "h2" (on the HTTP
 * port "http/1.1", or none). There are no session tickets, no renegotiation and no early data. */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/status.h"

enum {
    TLS_RECORD_BYTES_MAX = 16384, /* of plaintext */
    /* Room that a tls_buffer needs for one record of that size. */
    TLS_RECORD_ROOM = TLS_RECORD_BYTES_MAX + 320,
    /* What a session takes: 11 KiB when idle, and one record that is incomplete. */
    TLS_SESSION_BYTES = 28 << 10,
    TLS_WORDS_BYTES = 256,
};

/* ---- contexts ---- */

struct tls_context;

struct tls_options {   /* paths of PEM files */
    const char *cert;  /* the chain, leaf first; a client may have none: NULL */
    const char *key;   /* NULL exactly if cert is */
    const char *trust; /* authorities. A server that has some asks for a certificate and
                        * verifies it. A client without any uses the system's. */
};

enum tls_role { TLS_SERVER, TLS_CLIENT };

/* Reads the files. INVALID_ARGUMENT: the message begins with the path; `field` is "cert",
 * "key" or "trust". Copies the options. */
int tls_context_create(struct tls_context **context, enum tls_role role,
                       const struct tls_options *options, struct failure *failure);

/* Reads the files again: new sessions use the new content, sessions that exist keep what
 * they began with. It fails, among others, if a path is not that of a regular file, or if
 * the new certificate has expired and the old one has not. On failure the context stays as it
 * was. One thread may reload while others create sessions. */
int tls_context_reload(struct tls_context *context, struct failure *failure);

/* When the certificate expires, in seconds since 1970. */
uint64_t tls_context_expires(struct tls_context *context);

/* Sessions keep what they need. NULL is harmless. */
void tls_context_destroy(struct tls_context *context);

/* ---- sessions ---- */

struct tls_session;

enum tls_state {
    TLS_HANDSHAKE,
    TLS_OPEN,
    TLS_CLOSED, /* the peer has said that it sends nothing more */
    TLS_FAILED, /* tls_words says why; nothing more can be read or written */
};

struct tls_buffer { /* where ciphertext goes */
    uint8_t *bytes;
    size_t count, size;
};

/* `server_name`: of a client, the name that the server's certificate must have; NULL for
 * a server. RESOURCE_EXHAUSTED: out of memory. */
int tls_session_create(struct tls_session **session, struct tls_context *context,
                       const char *server_name, struct failure *failure);
/* Of a server of HTTP/1.1: the client may offer "http/1.1", or no protocol. */
int tls_session_create_http1(struct tls_session **session, struct tls_context *context,
                             struct failure *failure);
void tls_session_destroy(struct tls_session *session); /* NULL is harmless */

enum tls_state tls_state(const struct tls_session *session);

/* Lends ciphertext. The session takes it during tls_handshake and tls_read; it must stay
 * valid until one of them has returned without progress. Only when the last bytes are
 * used up. */
void tls_feed(struct tls_session *session, const uint8_t *bytes, size_t count);

/* Goes on with the handshake. The state says what became of it; TLS_HANDSHAKE: it needs
 * more input, or room in `out`. */
enum tls_state tls_handshake(struct tls_session *session, struct tls_buffer *out);

/* The next plaintext, at most one record: *bytes stays valid until the next call. The
 * count; 0: there is none, and the state says whether more can come. */
size_t tls_read(struct tls_session *session, const uint8_t **bytes);

/* Encrypts as much of the plaintext as `out` has room for. The count of plaintext bytes
 * taken, which the session does not need any more; -1: TLS_FAILED. */
ssize_t tls_write(struct tls_session *session, const struct iovec *iov, size_t count,
                  struct tls_buffer *out);

/* Says that nothing more will be sent: close_notify, or the alert for a failure. */
void tls_shutdown(struct tls_session *session, struct tls_buffer *out);

/* Why the session failed, in plain words. */
const char *tls_words(const struct tls_session *session);

/* True: it failed because the peer sent more than TLS_HANDSHAKE_BYTES_MAX. */
bool tls_oversized(const struct tls_session *session);

/* The subject of the peer's verified certificate (RFC 4514); "": it has none. A subject
 * that is empty or does not fit fails the handshake. */
const char *tls_subject(const struct tls_session *session);

#endif
