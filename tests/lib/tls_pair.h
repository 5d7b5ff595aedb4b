/* SPDX-License-Identifier: Apache-2.0 */
/* A client's and a server's TLS session that talk through two buffers. */
#ifndef TESTS_TLS_PAIR_H
#define TESTS_TLS_PAIR_H

#include "tests/lib/tls_files.h"
#include "tls/tls.h"

struct tls_end {
    struct tls_session *session;
    struct tls_buffer out; /* on its way to the other end */
};

struct tls_pair {
    struct tls_files files;
    struct tls_context *server_context, *client_context;
    struct tls_end server, client;
    size_t cut; /* pieces in which ciphertext is delivered; 0: as it comes */
};

/* Contexts of the files, without sessions. */
void tls_pair_create(struct tls_pair *pair);
void tls_pair_destroy(struct tls_pair *pair);

/* Closes the sessions and opens new ones. */
void tls_pair_open(struct tls_pair *pair, const char *server_name);

/* A context of one's own; checks that it can be made. */
struct tls_context *tls_pair_context(enum tls_role role, const char *cert,
                                     const char *key, const char *trust);

/* Goes on until both ends have ended their handshake, or wait. */
void tls_pair_handshake(struct tls_pair *pair);

/* Sends bytes from one end to the other, and checks that they arrive. */
void tls_pair_send(struct tls_pair *pair, struct tls_end *from, struct tls_end *to,
                   const uint8_t *bytes, size_t count);

/* Delivers what `from` has written, and gives the plaintext that `to` reads, which the
 * caller frees. */
uint8_t *tls_pair_deliver(struct tls_pair *pair, struct tls_end *from, struct tls_end *to,
                          size_t *count);

#endif
