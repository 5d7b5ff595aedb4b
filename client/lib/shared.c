/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/shared.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void shared_init(struct shared *shared, const struct address *address)
{
    *shared = (struct shared){.idle_count = 0};
    memory_socket_init(&shared->socket, address);
    pthread_mutex_init(&shared->lock, NULL);
}

static void ring_free(struct ring *ring)
{
    munmap(ring->bytes, RING_BYTES);
    free(ring);
}

/* The daemon forgets what was registered on a connection that is closed. */
static void drop_idle(struct shared *shared)
{
    while (shared->idle_count > 0)
        ring_free(shared->idle[--shared->idle_count]);
}

void shared_fini(struct shared *shared)
{
    memory_socket_close(&shared->socket);
    drop_idle(shared);
    pthread_mutex_destroy(&shared->lock);
}

static void give_up(struct shared *shared)
{
    memory_socket_give_up(&shared->socket);
    drop_idle(shared);
}

/* ---- rings -------------------------------------------------------------------------- */

static struct ring *ring_create(struct shared *shared, uint64_t deadline_ns)
{
    struct ring *ring = calloc(1, sizeof(*ring));
    const int fd = ring ? memory_file(RING_BYTES) : -1;
    void *bytes = fd < 0 ? MAP_FAILED
                         : mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_POPULATE, fd, 0);
    enum trit_status status;
    const bool known = bytes != MAP_FAILED &&
                       memory_socket_register(&shared->socket, fd, RING_BYTES,
                                              deadline_ns, ring->id, &status) == 0;

    if (fd >= 0)
        close(fd);
    if (known) {
        ring->bytes = bytes;
        ring->connection = shared->socket.connection;
        return ring;
    }
    if (bytes != MAP_FAILED)
        munmap(bytes, RING_BYTES);
    free(ring);
    return NULL;
}

static struct ring *take(struct shared *shared, uint64_t deadline_ns)
{
    const uint64_t before = shared->socket.connection;
    const int opened = memory_socket_open(&shared->socket);

    if (shared->socket.connection != before)
        drop_idle(shared);
    if (opened < 0)
        return NULL;
    return shared->idle_count > 0 ? shared->idle[--shared->idle_count]
                                  : ring_create(shared, deadline_ns);
}

struct ring *shared_take(struct shared *shared, uint64_t deadline_ns)
{
    struct ring *ring;

    if (!shared->socket.possible)
        return NULL;
    pthread_mutex_lock(&shared->lock);
    ring = take(shared, deadline_ns);
    if (!ring && shared->socket.fd >= 0)
        give_up(shared);
    pthread_mutex_unlock(&shared->lock);
    return ring;
}

/* Whether the daemon knows the ring. */
static bool is_known(const struct shared *shared, const struct ring *ring)
{
    return shared->socket.fd >= 0 && ring->connection == shared->socket.connection;
}

void shared_put(struct shared *shared, struct ring *ring, bool clean)
{
    if (!ring)
        return;
    pthread_mutex_lock(&shared->lock);
    if (clean && is_known(shared, ring) && shared->idle_count < IDLE_RINGS_MAX) {
        shared->idle[shared->idle_count++] = ring;
        ring = NULL;
    } else if (is_known(shared, ring) &&
               memory_socket_release(&shared->socket, ring->id) == 0) {
        give_up(shared);
    }
    pthread_mutex_unlock(&shared->lock);
    if (ring)
        ring_free(ring);
}

void shared_forget(struct shared *shared)
{
    pthread_mutex_lock(&shared->lock);
    give_up(shared);
    pthread_mutex_unlock(&shared->lock);
}
