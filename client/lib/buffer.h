/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers of the caller (trit/buffer.h), and the regions of them that a unary call names in
 * place of bytes. Thread-safe. */
#ifndef LIB_BUFFER_H
#define LIB_BUFFER_H

#include <pthread.h>
#include <sys/types.h>

#include <trit/buffer.h>

#include "client/lib/memory_socket.h"

struct buffers {
    pid_t owner;          /* a forked child leaves the memory socket to its parent */
    pthread_mutex_t lock; /* of the members below, and of the buffers in the list */
    struct memory_socket socket;
    struct trit_buffer *first;
    uint32_t
        wait_ms; /* for a daemon that may still write; default MEMORY_SOCKET_WAIT_MS */
};

void buffers_init(struct buffers *buffers, const struct address *address);
/* Buffers that the caller still has become ordinary memory. */
void buffers_fini(struct buffers *buffers);

/* A buffer of at least so many bytes. NULL: out of memory. */
struct trit_buffer *buffer_new(struct buffers *buffers, uint64_t bytes);

/* Whether the bytes lie in one buffer. NULL lies in none. */
bool buffers_hold(struct buffers *buffers, const void *bytes, uint64_t count);

/* The buffers of one call: its tensor, its reference and its result. */
enum { BUFFER_USES_MAX = 3 };
struct buffer_use {
    struct buffers *buffers;
    struct trit_buffer *held[BUFFER_USES_MAX];
    size_t count;
    uint64_t bytes;              /* of the request's regions */
    struct trit_buffer *written; /* into which the daemon writes the reply; or NULL */
    uint64_t written_connection; /* on which that one was registered, */
    uint8_t written_id[REGION_BUFFER_BYTES]; /* and under which id */
};

void buffer_use_init(struct buffer_use *use, struct buffers *buffers);

/* Where the bytes lie in a buffer that the daemon knows, fills `region`; else it stays absent,
 * and the bytes are to be sent. `field` names them. -1 (UNAVAILABLE): the daemon may still write
 * to this memory. */
int buffer_use_request(struct buffer_use *use, const char *field, const void *bytes,
                       uint64_t count, struct wire_region *region,
                       struct failure *failure);
/* The same for the place of the reply. */
int buffer_use_reply(struct buffer_use *use, const char *field, const void *bytes,
                     uint64_t count, struct wire_region *region, struct failure *failure);

/* The call has ended. `settled`: the daemon has ended it too, so it no longer writes; else waits
 * until the daemon says so, for at most wait_ms. True: the call failed only because the
 * daemon does not know a buffer, as after a restart. It will be registered at the next use. */
bool buffer_use_end(struct buffer_use *use, bool settled, const struct failure *failure);

/* Whether a request names memory in this field. */
bool region_field(const char *field);

/* Makes an attempt at a call, and another one if the first returns 1: the daemon did not know a
 * buffer. Returns what the last one returns, 1 as -1. */
typedef int (*buffer_attempt)(void *call, struct failure *failure);
int buffer_attempts(buffer_attempt attempt, void *call, struct failure *failure);

#endif
