/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and keys for tests of TLS, made anew in a folder of their own. */
#ifndef TESTS_TLS_FILES_H
#define TESTS_TLS_FILES_H

#include <time.h>

enum { TLS_FILE_PATH_BYTES = 128 };

struct tls_authority {
    char path[TLS_FILE_PATH_BYTES]; /* its certificate */
    void *certificate, *key;        /* of GnuTLS */
};

struct tls_files {
    char folder[64];
    struct tls_authority authority, stranger;
    char cert[TLS_FILE_PATH_BYTES],
        key[TLS_FILE_PATH_BYTES]; /* of "localhost", 127.0.0.1 */
    char client_cert[TLS_FILE_PATH_BYTES], client_key[TLS_FILE_PATH_BYTES];
};

/* What a certificate is; members that are 0 mean: valid now, for a server. */
struct tls_wish {
    const char *subject; /* RFC 4514, or "" */
    const char *name;    /* DNS name; NULL: none */
    time_t from, until;  /* seconds relative to now */
    int client;          /* for a client, not a server */
    unsigned large;      /* bytes of comment, to make it large */
};

void tls_files_create(struct tls_files *files);
void tls_files_destroy(struct tls_files *files);

/* Writes <folder>/<stem>.pem and <folder>/<stem>.key; gives both paths. */
void tls_files_issue(const struct tls_files *files, const struct tls_authority *by,
                     const char *stem, const struct tls_wish *wish,
                     char cert[TLS_FILE_PATH_BYTES], char key[TLS_FILE_PATH_BYTES]);

#endif
