/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/codec/memory.h"

#define MEMORY_SUFFIX ".memory"

void shared_init(struct shared *shared, const struct address *address)
{
    const char *setting = getenv("TRIT_SHARED_MEMORY");

    *shared = (struct shared){.fd = -1,
                              .possible = address->kind == ADDRESS_UNIX &&
                                          !(setting && strcmp(setting, "off") == 0)};
    memcpy(shared->path, address->host, sizeof(shared->path));
    pthread_mutex_init(&shared->lock, NULL);
}

static void ring_free(struct ring *ring)
{
    munmap(ring->bytes, RING_BYTES);
    free(ring);
}

/* The daemon forgets what was registered on the connection. */
static void disconnect(struct shared *shared)
{
    if (shared->fd >= 0)
        close(shared->fd);
    shared->fd = -1;
    while (shared->idle_count > 0)
        ring_free(shared->idle[--shared->idle_count]);
}

void shared_fini(struct shared *shared)
{
    disconnect(shared);
    pthread_mutex_destroy(&shared->lock);
}

/* ---- the memory socket ------------------------------------------------------------- */

static void give_up(struct shared *shared)
{
    disconnect(shared);
    shared->retry_ns = clock_monotonic_ns() + SHARED_RETRY_MS * 1000000ull;
}

static int connect_path(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s" MEMORY_SUFFIX, path) >=
        (int)sizeof(address.sun_path))
        return -1;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Nothing is read between a request and its reply but replies to releases, so a readable
 * socket has such replies, or it is closed. */
static bool is_connected(const struct shared *shared)
{
    uint8_t byte;

    return shared->fd >= 0 && recv(shared->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
}

static bool open_connection(struct shared *shared)
{
    if (is_connected(shared))
        return true;
    disconnect(shared);
    shared->fd = connect_path(shared->path);
    shared->connection++;
    return shared->fd >= 0;
}

static int send_request(struct shared *shared, struct wire_memory_request *request,
                        int fd)
{
    uint8_t packet[MEMORY_PACKET_BYTES_MAX];
    union {
        struct cmsghdr head;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec iov = {.iov_base = packet};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    request->sequence = ++shared->sequence;
    iov.iov_len = encode_memory_request(request, packet, sizeof(packet));
    if (fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.head), &fd, sizeof(int));
    }
    return sendmsg(shared->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ? 0 : -1;
}

/* Waits for the reply to the last request, and drops those to releases. */
static int receive_reply(struct shared *shared, struct wire_memory_reply *reply)
{
    const uint64_t until = clock_monotonic_ns() + SHARED_WAIT_MS * 1000000ull;

    for (;;) {
        const uint64_t now = clock_monotonic_ns();
        struct pollfd wait = {.fd = shared->fd, .events = POLLIN};
        uint8_t packet[MEMORY_PACKET_BYTES_MAX];
        char why[CODEC_ERROR_BYTES];
        ssize_t count;

        if (now >= until ||
            (poll(&wait, 1, (int)((until - now) / 1000000 + 1)) < 0 && errno != EINTR))
            return -1;
        count = recv(shared->fd, packet, sizeof(packet), MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (count <= 0 || decode_memory_reply(packet, (size_t)count, reply, why) < 0)
            return -1;
        if (reply->sequence == shared->sequence)
            return 0;
    }
}

/* ---- rings -------------------------------------------------------------------------- */

/* Sealed, and with all its pages, as the daemon wants it. */
static int ring_file(void)
{
    const int fd = memfd_create("trit", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -1;
    if (ftruncate(fd, RING_BYTES) == 0 && fallocate(fd, 0, 0, RING_BYTES) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)
        return fd;
    close(fd);
    return -1;
}

static int register_ring(struct shared *shared, struct ring *ring, int fd)
{
    struct wire_memory_request request = {.register_bytes = RING_BYTES};
    struct wire_memory_reply reply;

    if (send_request(shared, &request, fd) < 0 || receive_reply(shared, &reply) < 0 ||
        reply.status != TRIT_OK)
        return -1;
    memcpy(ring->id, reply.buffer, sizeof(ring->id));
    ring->connection = shared->connection;
    return 0;
}

static struct ring *ring_create(struct shared *shared)
{
    struct ring *ring = calloc(1, sizeof(*ring));
    const int fd = ring ? ring_file() : -1;
    void *bytes = fd < 0 ? MAP_FAILED
                         : mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_POPULATE, fd, 0);
    const bool known = bytes != MAP_FAILED && register_ring(shared, ring, fd) == 0;

    if (fd >= 0)
        close(fd);
    if (known) {
        ring->bytes = bytes;
        return ring;
    }
    if (bytes != MAP_FAILED)
        munmap(bytes, RING_BYTES);
    free(ring);
    return NULL;
}

struct ring *shared_take(struct shared *shared)
{
    struct ring *ring = NULL;

    if (!shared->possible)
        return NULL;
    pthread_mutex_lock(&shared->lock);
    if (shared->fd >= 0 || clock_monotonic_ns() >= shared->retry_ns) {
        if (open_connection(shared))
            ring = shared->idle_count > 0 ? shared->idle[--shared->idle_count]
                                          : ring_create(shared);
        if (!ring)
            give_up(shared);
    }
    pthread_mutex_unlock(&shared->lock);
    return ring;
}

/* The reply is not awaited. */
static void release_ring(struct shared *shared, const struct ring *ring)
{
    struct wire_memory_request request = {.releases = true};

    if (ring->connection != shared->connection || shared->fd < 0)
        return;
    memcpy(request.release, ring->id, sizeof(request.release));
    if (send_request(shared, &request, -1) < 0)
        give_up(shared);
}

void shared_put(struct shared *shared, struct ring *ring, bool clean)
{
    if (!ring)
        return;
    pthread_mutex_lock(&shared->lock);
    if (clean && shared->fd >= 0 && ring->connection == shared->connection &&
        shared->idle_count < IDLE_RINGS_MAX) {
        shared->idle[shared->idle_count++] = ring;
        ring = NULL;
    } else {
        release_ring(shared, ring);
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
