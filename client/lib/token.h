/* SPDX-License-Identifier: Apache-2.0 */
/* The token that a client sends: a text, or the content of a file, which is read again
 * when it changes. Messages never have the token in them. */
#ifndef LIB_TOKEN_H
#define LIB_TOKEN_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "base/status.h"

enum {
    TOKEN_BYTES_MAX = 4096,
    AUTHORIZATION_BYTES = TOKEN_BYTES_MAX + sizeof("Bearer "),
};

struct token {
    pthread_mutex_t lock;
    char *path; /* NULL: the text does not change */
    /* Under the lock: what the file was like when the text was read. */
    struct timespec changed;
    off_t size;
    ino_t inode;
    char text[TOKEN_BYTES_MAX + 1]; /* "": there is none */
};

/* `text` and `path` are the caller's options: at most one may be given. Where none is,
 * the environment variables TRIT_TOKEN and TRIT_TOKEN_FILE count, in this order. Copies.
 * INVALID_ARGUMENT: both are given, the file cannot be read, or it holds no token. */
int token_init(struct token *token, const char *text, const char *path,
               struct failure *failure);
void token_fini(struct token *token);

/* Writes "Bearer TOKEN", or "" where there is no token. A file that changed and cannot be
 * read, perhaps because it is being written, leaves the token as it was. Thread-safe. */
void token_authorization(struct token *token, char value[AUTHORIZATION_BYTES]);

#endif
