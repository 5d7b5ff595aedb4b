/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/memory_socket.h"

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

void memory_socket_init(struct memory_socket *memory, const struct address *address)
{
    const char *setting = getenv("TRIT_SHARED_MEMORY");

    *memory =
        (struct memory_socket){.fd = -1,
                               .possible = address->kind == ADDRESS_UNIX &&
                                           !(setting && strcmp(setting, "off") == 0)};
    memcpy(memory->path, address->host, sizeof(memory->path));
}

void memory_socket_close(struct memory_socket *memory)
{
    if (memory->fd >= 0)
        close(memory->fd);
    memory->fd = -1;
}

void memory_socket_give_up(struct memory_socket *memory)
{
    memory_socket_close(memory);
    memory->retry_ns = clock_monotonic_ns() + MEMORY_SOCKET_RETRY_MS * 1000000ull;
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
static bool is_connected(const struct memory_socket *memory)
{
    uint8_t byte;

    return memory->fd >= 0 && recv(memory->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
}

int memory_socket_open(struct memory_socket *memory)
{
    if (!memory->possible)
        return -1;
    if (is_connected(memory))
        return 0;
    if (memory->fd < 0 && clock_monotonic_ns() < memory->retry_ns)
        return -1;
    memory_socket_close(memory);
    memory->fd = connect_path(memory->path);
    memory->connection++;
    if (memory->fd >= 0)
        return 0;
    memory_socket_give_up(memory);
    return -1;
}

static int send_request(struct memory_socket *memory, struct wire_memory_request *request,
                        int fd)
{
    uint8_t packet[MEMORY_PACKET_BYTES_MAX];
    union {
        struct cmsghdr head;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec iov = {.iov_base = packet};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    request->sequence = ++memory->sequence;
    iov.iov_len = encode_memory_request(request, packet, sizeof(packet));
    if (fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.head), &fd, sizeof(int));
    }
    return sendmsg(memory->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ? 0 : -1;
}

/* 1: a reply. 0: none within `wait_ms`. -1: the connection fails. */
static int receive(struct memory_socket *memory, int wait_ms,
                   struct wire_memory_reply *reply)
{
    struct pollfd wait = {.fd = memory->fd, .events = POLLIN};
    uint8_t packet[MEMORY_PACKET_BYTES_MAX];
    char why[CODEC_ERROR_BYTES];
    ssize_t count;

    if (poll(&wait, 1, wait_ms) < 0 && errno != EINTR)
        return -1;
    count = recv(memory->fd, packet, sizeof(packet), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return count > 0 && decode_memory_reply(packet, (size_t)count, reply, why) == 0 ? 1
                                                                                    : -1;
}

static void released(struct memory_socket *memory, const struct wire_memory_reply *reply)
{
    if (memory->released)
        memory->released(memory, reply->sequence);
}

int memory_socket_wait(struct memory_socket *memory, int wait_ms)
{
    struct wire_memory_reply reply = {0};
    const int result = receive(memory, wait_ms, &reply);

    if (result > 0)
        released(memory, &reply);
    return result < 0 ? -1 : 0;
}

/* Waits for the reply to the last request. */
static int last_reply(struct memory_socket *memory, uint64_t deadline_ns,
                      struct wire_memory_reply *reply)
{
    uint64_t until = clock_monotonic_ns() + MEMORY_SOCKET_REGISTER_MS * 1000000ull;

    if (deadline_ns && deadline_ns < until)
        until = deadline_ns;
    for (;;) {
        const uint64_t now = clock_monotonic_ns();
        int result;

        if (now >= until)
            return -1;
        result = receive(memory, (int)((until - now) / 1000000 + 1), reply);
        if (result < 0)
            return -1;
        if (result > 0 && reply->sequence == memory->sequence)
            return 0;
        if (result > 0)
            released(memory, reply);
    }
}

int memory_socket_register(struct memory_socket *memory, int file, uint64_t bytes,
                           uint64_t deadline_ns, uint8_t id[REGION_BUFFER_BYTES],
                           enum trit_status *status)
{
    struct wire_memory_request request = {.register_bytes = bytes};
    struct wire_memory_reply reply = {0};

    *status = TRIT_UNAVAILABLE;
    if (send_request(memory, &request, file) < 0 ||
        last_reply(memory, deadline_ns, &reply) < 0)
        return -1;
    *status = (enum trit_status)reply.status;
    if (reply.status != TRIT_OK)
        return -1;
    memcpy(id, reply.buffer, sizeof(reply.buffer));
    return 0;
}

uint64_t memory_socket_release(struct memory_socket *memory,
                               const uint8_t id[REGION_BUFFER_BYTES])
{
    struct wire_memory_request request = {.releases = true};

    memcpy(request.release, id, sizeof(request.release));
    return send_request(memory, &request, -1) == 0 ? memory->sequence : 0;
}

int memory_file(uint64_t bytes)
{
    const int fd = memfd_create("trit", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -1;
    if (ftruncate(fd, (off_t)bytes) == 0 && fallocate(fd, 0, 0, (off_t)bytes) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)
        return fd;
    close(fd);
    return -1;
}
