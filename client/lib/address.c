/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/address.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/number.h"

static const char port_default[] = "6561";
static const char unix_prefix[] = "unix:";

/* ---- parsing ------------------------------------------------------------------ */

static int malformed(const char *text, struct failure *failure)
{
    return fail(failure, TRIT_INVALID_ARGUMENT, "address",
                "address \"%.300s\" is not host:port or unix:/path", text);
}

static int parse_unix(const char *path, struct address *address, struct failure *failure)
{
    struct sockaddr_un name;

    if (*path == '\0' || strlen(path) >= sizeof(name.sun_path))
        return malformed(address->text, failure);
    address->kind = ADDRESS_UNIX;
    strcpy(address->host, path);
    strcpy(address->authority, "localhost"); /* a path is not a legal authority */
    return 0;
}

/* Reads a decimal number from 1 to 65535 and writes it in its shortest form.
 * getaddrinfo would read 65536 as 0. */
static int parse_port(const char *port, struct address *address, struct failure *failure)
{
    uint64_t value;

    if (!parse_u64(port, PORT_MAX, &value) || value == 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "address",
                    "address \"%.300s\": port \"%.40s\" is not a number from 1 to %d",
                    address->text, port, PORT_MAX);
    snprintf(address->port, sizeof(address->port), "%u", (unsigned)value);
    return 0;
}

static int parse_tcp(const char *text, struct address *address, struct failure *failure)
{
    const char *host = text, *end = strrchr(text, ':');
    const char *port = end ? end + 1 : port_default;
    size_t host_len;

    if (*text == '[') { /* [v6] or [v6]:port */
        host = text + 1;
        end = strchr(host, ']');
        if (!end || (end[1] != ':' && end[1] != '\0'))
            return malformed(text, failure);
        port = end[1] == ':' ? end + 2 : port_default;
    } else if (end && memchr(text, ':', (size_t)(end - text))) {
        return malformed(text, failure); /* a bare v6 address is ambiguous */
    }
    host_len = end ? (size_t)(end - host) : strlen(host);
    if (host_len == 0 || host_len > ADDRESS_HOST_BYTES_MAX)
        return malformed(text, failure);
    if (parse_port(port, address, failure) < 0)
        return -1;
    if (strpbrk(text, " \t\r\n/"))
        return malformed(text, failure);
    address->kind = ADDRESS_TCP;
    memcpy(address->host, host, host_len);
    address->host[host_len] = '\0';
    snprintf(address->authority, sizeof(address->authority),
             *text == '[' ? "[%s]:%s" : "%s:%s", address->host, address->port);
    return 0;
}

int address_parse(const char *text, struct address *address, struct failure *failure)
{
    struct address parsed = {.kind = ADDRESS_TCP};

    if (strlen(text) > ADDRESS_TEXT_BYTES_MAX)
        return malformed(text, failure);
    strcpy(parsed.text, text);
    if (strncmp(text, unix_prefix, sizeof(unix_prefix) - 1) == 0) {
        if (parse_unix(text + sizeof(unix_prefix) - 1, &parsed, failure) < 0)
            return -1;
    } else if (parse_tcp(text, &parsed, failure) < 0) {
        return -1;
    }
    *address = parsed;
    return 0;
}

/* ---- connecting --------------------------------------------------------------- */

int address_budget_ms(uint64_t deadline_ns)
{
    uint64_t now = clock_monotonic_ns(), left_ms;

    if (deadline_ns == 0)
        return CONNECT_MS_MAX;
    if (deadline_ns <= now)
        return 0;
    left_ms = (deadline_ns - now) / 1000000u + 1;
    return left_ms < CONNECT_MS_MAX ? (int)left_ms : CONNECT_MS_MAX;
}

uint64_t address_give_up(uint64_t deadline_ns)
{
    return clock_monotonic_ns() + (uint64_t)address_budget_ms(deadline_ns) * 1000000u;
}

static int unreachable(const struct address *address, uint64_t deadline_ns, int error,
                       struct failure *failure)
{
    if (error == ETIMEDOUT && address_budget_ms(deadline_ns) == 0)
        return fail(failure, TRIT_DEADLINE_EXCEEDED, NULL,
                    "deadline exceeded while connecting to %s", address->text);
    return fail(failure, TRIT_UNAVAILABLE, NULL, "cannot connect to %s: %s",
                address->text, strerror(error));
}

/* A non-blocking connect(2) to a Unix socket fails immediately when the backlog is
 * full. So this one blocks, at most for the socket's send timeout. */
static int connect_unix(const struct address *address, uint64_t deadline_ns,
                        struct failure *failure)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int budget_ms = address_budget_ms(deadline_ns), fd, rc;
    struct timeval send_timeout = {.tv_sec = budget_ms / 1000,
                                   .tv_usec = (budget_ms % 1000) * 1000};

    if (budget_ms == 0)
        return unreachable(address, deadline_ns, ETIMEDOUT, failure);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return unreachable(address, deadline_ns, errno, failure);
    strcpy(name.sun_path, address->host); /* fits: address_parse has checked it */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send_timeout, sizeof(send_timeout));
    do
        rc = connect(fd, (const struct sockaddr *)&name, sizeof(name));
    while (rc != 0 && errno == EINTR);
    if (rc != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        rc = errno == EAGAIN ? ETIMEDOUT : errno;
        close(fd);
        return unreachable(address, deadline_ns, rc, failure);
    }
    return fd;
}

/* 0, or the errno of a connection in progress. */
static int await_connected(int fd, uint64_t deadline_ns)
{
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    uint64_t give_up = address_give_up(deadline_ns);
    int rc, error = 0;
    socklen_t size = sizeof(error);

    do {
        rc = poll(&wait, 1, address_budget_ms(give_up));
    } while (rc < 0 && errno == EINTR);
    if (rc == 0)
        return ETIMEDOUT;
    if (rc < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return errno;
    return error;
}

/* TCP_NODELAY: a small frame must not wait for a full segment. Keepalive: a call
 * without a deadline must notice a peer that vanished. */
static void tune_tcp(int fd)
{
    const int on = 1, idle_s = 30, interval_s = 10, probes = 3;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

/* Tries one candidate: a socket, or -1 with *error. */
static int connect_candidate(const struct addrinfo *candidate, uint64_t deadline_ns,
                             int *error)
{
    int fd = socket(candidate->ai_family,
                    candidate->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    candidate->ai_protocol);

    if (fd < 0) {
        *error = errno;
        return -1;
    }
    *error = 0;
    if (connect(fd, candidate->ai_addr, candidate->ai_addrlen) != 0)
        *error = errno == EINPROGRESS || errno == EINTR ? await_connected(fd, deadline_ns)
                                                        : errno;
    if (*error != 0) {
        close(fd);
        return -1;
    }
    tune_tcp(fd);
    return fd;
}

static int connect_tcp(const struct address *address, uint64_t deadline_ns,
                       struct failure *failure)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM},
                    *candidates = NULL;
    int fd = -1, error = ECONNREFUSED, rc;

    rc = getaddrinfo(address->host, address->port, &hints, &candidates);
    if (rc != 0)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "cannot resolve %s: %s",
                    address->text, rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    for (struct addrinfo *a = candidates; a && fd < 0; a = a->ai_next) {
        error = ETIMEDOUT;
        if (address_budget_ms(deadline_ns) == 0)
            break;
        fd = connect_candidate(a, deadline_ns, &error);
    }
    freeaddrinfo(candidates);
    return fd >= 0 ? fd : unreachable(address, deadline_ns, error, failure);
}

int address_connect(const struct address *address, uint64_t deadline_ns,
                    struct failure *failure)
{
    switch (address->kind) {
    case ADDRESS_UNIX:
        return connect_unix(address, deadline_ns, failure);
    case ADDRESS_TCP:
        return connect_tcp(address, deadline_ns, failure);
    }
    return -1;
}

bool socket_is_local(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    } to = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t bytes = sizeof(to);

    if (getpeername(fd, &to.any, &bytes) != 0)
        return false;
    switch (to.any.sa_family) {
    case AF_UNIX:
        return true;
    case AF_INET:
        return ntohl(to.v4.sin_addr.s_addr) >> 24 == 127;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&to.v6.sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&to.v6.sin6_addr) &&
                to.v6.sin6_addr.s6_addr[12] == 127);
    default:
        return false;
    }
}
