/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of tls, for the files of this module. */
#ifndef TLS_IMPL_H
#define TLS_IMPL_H

#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/peer.h"
#include "tls/tls.h"

/* What one reading of the files gave. Sessions share it; the last one frees it. */
struct tls_credentials {
    _Atomic unsigned users;
    gnutls_certificate_credentials_t certificate;
    gnutls_priority_t priorities;
    uint64_t expires; /* seconds since 1970; 0: there is no certificate */
    bool asks;        /* a server: for a certificate of the client */
};

struct tls_context {
    enum tls_role role;
    char *cert, *key, *trust; /* paths, or NULL */
    pthread_mutex_t lock;     /* guards `current` */
    struct tls_credentials *current;
};

struct tls_session {
    gnutls_session_t gnutls;
    struct tls_credentials *credentials;
    enum tls_role role;
    bool http1; /* ALPN is "http/1.1", and not needed */
    enum tls_state state;
    const uint8_t *input; /* lent by tls_feed */
    size_t input_count;
    size_t handshake_bytes; /* received so far */
    bool oversized;
    struct tls_buffer *out; /* during a call */
    gnutls_packet_t packet; /* holds the plaintext that tls_read gave last */
    int code;               /* of GnuTLS: why it failed */
    char *server_name;
    char subject[PEER_SUBJECT_BYTES];
    char words[TLS_WORDS_BYTES];
};

/* ---- words.c ---- */

/* Says what GnuTLS's error code means here. */
void tls_describe(struct tls_session *session, int code);

/* ---- verify.c ---- */

/* Verifies the peer's certificate; GnuTLS calls it during the handshake. 0, or a code of
 * GnuTLS with session->words filled. */
int tls_verify_client(gnutls_session_t gnutls);
int tls_verify_server(gnutls_session_t gnutls);

/* Writes the subject of the peer's certificate. -1: it does not fit. */
int tls_write_subject(gnutls_session_t gnutls, char *text, size_t bytes);

/* ---- credentials.c ---- */

/* Reads the context's files. */
struct tls_credentials *tls_credentials_read(const struct tls_context *context,
                                             struct failure *failure);
void tls_credentials_release(struct tls_credentials *credentials);

/* ---- context.c ---- */

/* The current credentials, with one more user. */
struct tls_credentials *tls_context_credentials(struct tls_context *context);

#endif
