/* SPDX-License-Identifier: Apache-2.0 */
#include "web/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/number.h"

enum { BACKLOG = 64 };

/* Splits "host:port" and removes the brackets of an IPv6 address. */
static int split(const char *address, char name[LISTEN_NAME_BYTES], char port[8],
                 struct failure *failure)
{
    const char *colon = strrchr(address, ':');
    size_t length = colon ? (size_t)(colon - address) : 0;
    uint64_t number;

    if (!colon || !parse_u64(colon + 1, 65535, &number) || length >= LISTEN_NAME_BYTES)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "http",
                          "\"%s\" is not host:port", address);
    snprintf(port, 8, "%u", (unsigned)number);
    if (length > 2 && address[0] == '[' && address[length - 1] == ']') {
        address++;
        length -= 2;
    }
    memcpy(name, address, length);
    name[length] = '\0';
    return 0;
}

static int open_socket(const struct addrinfo *info, const char *address,
                       struct failure *failure)
{
    int on = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return fail_field(failure, TRIT_UNAVAILABLE, "http", "%s: %s", address,
                          strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, info->ai_addr, info->ai_addrlen) || listen(fd, BACKLOG)) {
        fail_field(failure, TRIT_UNAVAILABLE, "http", "%s: %s", address, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

/* Reads the address that the socket has. */
static int describe(struct listening *listening, char *bound, size_t bound_bytes,
                    struct failure *failure)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
    socklen_t length = sizeof(at);
    char text[INET6_ADDRSTRLEN];

    memset(&at, 0, sizeof(at));
    if (getsockname(listening->fd, &at.any, &length))
        return fail_field(failure, TRIT_UNAVAILABLE, "http", "%s", strerror(errno));
    listening->ipv6 = at.any.sa_family == AF_INET6;
    if (listening->ipv6) {
        inet_ntop(AF_INET6, &at.v6.sin6_addr, text, sizeof(text));
        listening->loopback = IN6_IS_ADDR_LOOPBACK(&at.v6.sin6_addr);
        snprintf(bound, bound_bytes, "[%s]:%u", text, (unsigned)ntohs(at.v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &at.v4.sin_addr, text, sizeof(text));
        listening->loopback = ntohl(at.v4.sin_addr.s_addr) >> 24 == 127;
        snprintf(bound, bound_bytes, "%s:%u", text, (unsigned)ntohs(at.v4.sin_port));
    }
    return 0;
}

int listen_check(const char *address, struct failure *failure)
{
    char name[LISTEN_NAME_BYTES], port[8];

    return split(address, name, port, failure);
}

int listen_on(struct listening *listening, const char *address, char *bound,
              size_t bound_bytes, struct failure *failure)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *info;
    struct listening got = {.fd = -1};
    char port[8];
    int error;

    if (split(address, got.name, port, failure) < 0)
        return -1;
    error = getaddrinfo(got.name[0] ? got.name : NULL, port, &hints, &info);
    if (error)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "http", "%s: %s", address,
                          gai_strerror(error));
    got.fd = open_socket(info, address, failure);
    freeaddrinfo(info);
    if (got.fd < 0)
        return -1;
    if (describe(&got, bound, bound_bytes, failure) < 0) {
        close(got.fd);
        return -1;
    }
    *listening = got;
    return 0;
}
