/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of a connection. net fills it, h2 carries it, and grpc and the
 * access rules read it. It is complete before the first request of the connection. */
#ifndef BASE_PEER_H
#define BASE_PEER_H

#include <stdbool.h>
#include <sys/types.h>

struct account;

enum {
    PEER_ADDRESS_BYTES = 300, /* a host name and a port, with the NUL */
    PEER_SUBJECT_BYTES = 512, /* a distinguished name (RFC 4514), with the NUL */
    CALLER_NAME_BYTES = 65,   /* a name of the token file, with the NUL */
};

struct peer {
    struct account *account;          /* to which its memory is charged; NULL: to none */
    char address[PEER_ADDRESS_BYTES]; /* "127.0.0.1:51234" or "unix:/path" */
    bool loopback;                    /* a loopback address or a Unix socket */
    bool unix_socket;                 /* then the next three are the process's */
    uid_t uid;
    gid_t gid;
    pid_t pid;
    bool encrypted;                   /* by TLS */
    char subject[PEER_SUBJECT_BYTES]; /* of the verified client certificate, or "" */
};

#endif
