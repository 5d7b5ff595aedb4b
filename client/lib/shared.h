/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that this process shares with the daemon of a Unix socket, over the memory socket
 * (trit/v1/memory.proto): rings, through which streamed calls send their tensors. Thread-safe.
 * Whatever fails here has no effect but that the bytes go through the socket. */
#ifndef LIB_SHARED_H
#define LIB_SHARED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/lib/memory_socket.h"

enum {
    RING_BYTES = 4 << 20,
    IDLE_RINGS_MAX = 4,
};

/* A buffer of RING_BYTES that one call uses at a time. */
struct ring {
    uint8_t *bytes;
    uint8_t id[REGION_BUFFER_BYTES];
    uint64_t connection; /* on which it was registered */
};

struct shared {
    pthread_mutex_t lock; /* of the members below */
    struct memory_socket socket;
    struct ring *idle[IDLE_RINGS_MAX];
    size_t idle_count;
};

void shared_init(struct shared *shared, const struct address *address);
void shared_fini(struct shared *shared); /* no ring may be out */

/* NULL: there is none now, or before `deadline_ns` (monotonic; 0: none). */
struct ring *shared_take(struct shared *shared, uint64_t deadline_ns);

/* `clean`: the daemon has ended the call, with success. Else the daemon may use the ring for a
 * moment; it is given up. */
void shared_put(struct shared *shared, struct ring *ring, bool clean);

/* The daemon does not know a ring of this connection: a new one is made after a while. */
void shared_forget(struct shared *shared);

#endif
