/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to the daemon's memory socket (trit/v1/memory.proto): registers files of memory
 * and releases them. Not thread-safe; its owner locks. It never blocks for longer than
 * MEMORY_SOCKET_REGISTER_MS, or than it is told to. */
#ifndef LIB_MEMORY_SOCKET_H
#define LIB_MEMORY_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "client/lib/address.h"
#include "proto/codec/codec.h"

enum {
    MEMORY_SOCKET_REGISTER_MS =
        2000, /* for a reply; nothing ends this wait but a deadline */
    MEMORY_SOCKET_WAIT_MS = 10 * 1000,  /* for a reply to a release */
    MEMORY_SOCKET_RETRY_MS = 10 * 1000, /* after a failure: no attempt for so long */
};

struct memory_socket {
    bool possible; /* the address is a Unix socket, and TRIT_SHARED_MEMORY is not "off" */
    char path[ADDRESS_HOST_BYTES_MAX + 1];
    int fd; /* -1: no connection */
    uint64_t
        connection; /* number of the newest one; what was registered on another is gone */
    uint64_t sequence; /* of the last request */
    uint64_t retry_ns; /* monotonic */
    /* Called for each reply to a release; NULL: they are dropped. */
    void (*released)(struct memory_socket *socket, uint64_t sequence);
};

void memory_socket_init(struct memory_socket *socket, const struct address *address);
void memory_socket_close(struct memory_socket *socket);

/* Connects if there is no connection. -1: there is none now. */
int memory_socket_open(struct memory_socket *socket);

/* Closes the connection; the next is tried after MEMORY_SOCKET_RETRY_MS. */
void memory_socket_give_up(struct memory_socket *socket);

/* `deadline_ns` is monotonic; 0: none. -1: the daemon does not take the file (*status, its
 * reason), or the connection fails (*status TRIT_UNAVAILABLE). */
int memory_socket_register(struct memory_socket *socket, int file, uint64_t bytes,
                           uint64_t deadline_ns, uint8_t id[REGION_BUFFER_BYTES],
                           enum trit_status *status);

/* The reply to a release comes when no call uses the memory any more. Returns the request's
 * number; 0: the connection fails. */
uint64_t memory_socket_release(struct memory_socket *socket,
                               const uint8_t id[REGION_BUFFER_BYTES]);

/* Reads a reply to a release, waiting for at most `wait_ms`. -1: the connection fails. */
int memory_socket_wait(struct memory_socket *socket, int wait_ms);

/* A file as the daemon wants it: sealed, and with all its pages. -1: there is none. */
int memory_file(uint64_t bytes);

#endif
