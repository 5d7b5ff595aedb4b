/* SPDX-License-Identifier: Apache-2.0 */
/* Who may call: the tokens and certificates of the token file, and the one question that
 * every gRPC method and every HTTP path asks before anything else happens.
 *
 * Words. *Token*: a secret that a caller sends in `authorization: Bearer TOKEN`; the file
 * has only its SHA-256. *Subject*: the distinguished name of a verified client
 * certificate. *Rule*: a line of the file: a name, a token or a subject, and policies. */
#ifndef ACCESS_H
#define ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/policy.h"
#include "base/status.h"

struct access;
struct peer;

struct access_config {
    const char *token_file; /* NULL: none; borrowed while the access lives */
    /* Client certificates are verified. Without a token file each of them has the
     * policies project, verify and read. */
    bool client_ca;
};

/* Reads the token file. INVALID_ARGUMENT names the file, the line and what to do. */
int access_create(struct access **access, const struct access_config *config,
                  struct failure *failure);

/* NULL is harmless. */
void access_destroy(struct access *access);

/* Reads the token file again. A file with an error leaves the rules as they were and
 * returns -1. Calls that run keep what they were granted. Any thread. */
int access_reload(struct access *access, struct failure *failure);

/* Whether callers must say who they are: there is a token file or a client CA. */
bool access_required(const struct access *access);

/* How many rules are in force. Any thread. */
size_t access_count(struct access *access);

/* Whether the caller may do what needs `policy`. `what` names the method or the path for
 * messages. `peer` NULL: an unknown machine without encryption. `authorization`: the
 * header's value, or NULL. UNAUTHENTICATED: no credentials, or unknown ones.
 * PERMISSION_DENIED: the caller is known and does not have the policy. No message
 * repeats a token. If the caller has a line in the token file, its name is written to
 * `caller` (CALLER_NAME_BYTES, or NULL), also when it is denied. Any thread. */
int access_allows(struct access *access, enum policy policy, const char *what,
                  const struct peer *peer, const char *authorization, char *caller,
                  struct failure *failure);

#endif
