/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/memory_server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/codec/memory.h"
#include "tests/lib/check.h"

static void send_reply(int fd, struct wire_memory_reply *reply, uint64_t sequence)
{
    uint8_t packet[MEMORY_PACKET_BYTES_MAX];
    ssize_t count;

    reply->sequence = sequence;
    count = (ssize_t)encode_memory_reply(reply, packet, sizeof(packet));
    /* The client may have left. */
    CHECK(send(fd, packet, (size_t)count, MSG_NOSIGNAL) == count || errno == EPIPE);
}

static void answer(struct memory_server *server, int fd)
{
    uint8_t packet[MEMORY_PACKET_BYTES_MAX];
    char why[CODEC_ERROR_BYTES];
    struct wire_memory_request request;
    struct wire_memory_reply reply = {.status = (uint32_t)server->status};
    uint64_t kept = 0;
    ssize_t count;

    while ((count = recv(fd, packet, sizeof(packet), 0)) > 0 &&
           decode_memory_request(packet, (size_t)count, &request, why) == 0) {
        if (server->silent)
            continue;
        server->released += request.releases;
        reply.buffer[0] = (uint8_t)(server->registered += request.register_bytes > 0);
        if (request.releases && server->keeps) {
            kept = request.sequence;
            continue;
        }
        if (kept)
            send_reply(fd, &reply, kept);
        kept = 0;
        send_reply(fd, &reply, request.sequence);
    }
}

static void *serve(void *arg)
{
    struct memory_server *server = arg;
    int fd;

    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        server->connections++;
        answer(server, fd);
        close(fd);
    }
    return NULL;
}

void memory_server_start(struct memory_server *server, enum trit_status status)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    *server = (struct memory_server){.address = {.kind = ADDRESS_UNIX}, .status = status};
    snprintf(server->address.host, sizeof(server->address.host), "/tmp/trit-shared-%d",
             (int)getpid());
    snprintf(server->path, sizeof(server->path), "%.90s.memory", server->address.host);
    memcpy(name.sun_path, server->path, sizeof(name.sun_path));
    server->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(server->listener, (const struct sockaddr *)&name, sizeof(name)), 0);
    CHECK_EQ(listen(server->listener, 8), 0);
    CHECK_EQ(pthread_create(&server->thread, NULL, serve, server), 0);
}

void memory_server_stop(struct memory_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    unlink(server->path);
}
