/* SPDX-License-Identifier: Apache-2.0 */
/* Connects to an address without blocking: its owner polls. Only the resolution of a host
 * name, by connect_begin, blocks.
 *
 * The addresses of a name are tried in their order. The next one begins when one fails, or
 * CONNECT_NEXT_MS after the last one began; the first that connects is taken (as in RFC
 * 8305). A Unix socket whose backlog is full refuses: it is tried again. */
#ifndef LIB_CONNECT_H
#define LIB_CONNECT_H

#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/lib/address.h"

enum {
    /* Of one attempt, with its TLS handshake and the daemon's first SETTINGS frame. */
    CONNECT_MS_MAX = 20 * 1000,
    CONNECT_NEXT_MS = 250,
    CONNECT_BACKLOG_MS = 5,
    CONNECT_SOCKETS_MAX = 4, /* at a time; then the oldest is given up for the next */
};

struct connecting {
    const struct address *address; /* borrowed */
    uint64_t deadline_ns, give_up_ns;
    uint64_t next_ns; /* when the next address, or a full backlog, is tried */
    struct addrinfo *candidates;
    const struct addrinfo *next;
    int sockets[CONNECT_SOCKETS_MAX]; /* in progress, the oldest first */
    size_t count;
    int error; /* of the last one that failed */
};

/* `deadline_ns` is monotonic; 0: none. The address is borrowed until connect_end. -1:
 * UNAVAILABLE, and nothing is to be ended. */
int connect_begin(struct connecting *connecting, const struct address *address,
                  uint64_t deadline_ns, struct failure *failure);

/* 1: *fd is a connected non-blocking socket, which is now the caller's. 0: not yet. -1:
 * UNAVAILABLE, or DEADLINE_EXCEEDED. */
int connect_step(struct connecting *connecting, int *fd, struct failure *failure);

/* What to poll for: at most CONNECT_SOCKETS_MAX entries. And when connect_step has something
 * to do, if nothing happens before. */
size_t connect_polls(const struct connecting *connecting, struct pollfd *polls);
uint64_t connect_wake_ns(const struct connecting *connecting);

/* Closes the sockets that are in progress. */
void connect_end(struct connecting *connecting);

/* -1: the time of the attempt is over. DEADLINE_EXCEEDED if that of the call is, else
 * UNAVAILABLE; `doing` is what it was spent on. */
int connect_time(const struct connecting *connecting, const char *doing,
                 struct failure *failure);

/* Whether a connected socket leads to this machine: to a Unix socket or a loopback
 * address. */
bool socket_is_local(int fd);

#endif
