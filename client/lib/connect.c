/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

enum { NS_PER_MS = 1000000 };

static int unreachable(const struct connecting *c, int error, struct failure *failure)
{
    return fail(failure, TRIT_UNAVAILABLE, NULL, "cannot connect to %s: %s",
                c->address->text, strerror(error));
}

int connect_time(const struct connecting *c, const char *doing, struct failure *failure)
{
    const uint64_t now = clock_monotonic_ns();

    if (c->deadline_ns && now >= c->deadline_ns)
        return fail(failure, TRIT_DEADLINE_EXCEEDED, NULL, "deadline exceeded %s %s",
                    doing, c->address->text);
    if (now < c->give_up_ns)
        return 0;
    return fail(failure, TRIT_UNAVAILABLE, NULL,
                "cannot connect to %s: no answer within %d s %s it", c->address->text,
                CONNECT_MS_MAX / 1000, doing);
}

/* ---- TCP -------------------------------------------------------------------------- */

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

/* Takes the socket at `at` out of those in progress. */
static int take_out(struct connecting *c, size_t at)
{
    const int fd = c->sockets[at];

    c->count--;
    memmove(c->sockets + at, c->sockets + at + 1,
            (c->count - at) * sizeof(c->sockets[0]));
    return fd;
}

/* A connected socket, or -1: those that failed are closed. */
static int find_connected(struct connecting *c)
{
    for (size_t i = 0; i < c->count;) {
        struct pollfd ready = {.fd = c->sockets[i], .events = POLLOUT};
        socklen_t size = sizeof(c->error);

        if (poll(&ready, 1, 0) <= 0) {
            i++;
            continue;
        }
        if (getsockopt(ready.fd, SOL_SOCKET, SO_ERROR, &c->error, &size) < 0)
            c->error = errno;
        take_out(c, i);
        if (c->error == 0)
            return ready.fd;
        close(ready.fd);
    }
    return -1;
}

static void try_candidate(struct connecting *c, const struct addrinfo *candidate)
{
    const int fd = socket(candidate->ai_family,
                          candidate->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                          candidate->ai_protocol);

    if (fd < 0) {
        c->error = errno;
        return;
    }
    if (connect(fd, candidate->ai_addr, candidate->ai_addrlen) < 0 &&
        errno != EINPROGRESS && errno != EINTR) {
        c->error = errno;
        close(fd);
        return;
    }
    if (c->count == CONNECT_SOCKETS_MAX)
        close(take_out(c, 0));
    c->sockets[c->count++] = fd;
}

/* Tries the next addresses: one if it is time, or until one is in progress. */
static void try_next(struct connecting *c)
{
    const uint64_t now = clock_monotonic_ns();
    bool due = now >= c->next_ns;

    while (c->next && (due || c->count == 0)) {
        try_candidate(c, c->next);
        c->next = c->next->ai_next;
        c->next_ns = now + CONNECT_NEXT_MS * (uint64_t)NS_PER_MS;
        due = false;
    }
}

static int step_tcp(struct connecting *c, int *fd, struct failure *failure)
{
    *fd = find_connected(c);
    if (*fd < 0) {
        try_next(c);
        *fd = find_connected(c);
    }
    if (*fd >= 0) {
        tune_tcp(*fd);
        return 1;
    }
    if (c->count == 0 && !c->next)
        return unreachable(c, c->error, failure);
    return connect_time(c, "while connecting to", failure);
}

static int begin_tcp(struct connecting *c, struct failure *failure)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    const int rc =
        getaddrinfo(c->address->host, c->address->port, &hints, &c->candidates);

    if (rc != 0)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "cannot resolve %s: %s",
                    c->address->text,
                    rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    c->next = c->candidates;
    return 0;
}

/* ---- Unix sockets ------------------------------------------------------------------- */

static int begin_unix(struct connecting *c, struct failure *failure)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return unreachable(c, errno, failure);
    c->sockets[c->count++] = fd;
    return 0;
}

/* EAGAIN: the backlog is full; no event says when it is not. */
static int step_unix(struct connecting *c, int *fd, struct failure *failure)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    strcpy(name.sun_path, c->address->host); /* fits: address_parse has checked it */
    if (connect(c->sockets[0], (const struct sockaddr *)&name, sizeof(name)) == 0) {
        *fd = take_out(c, 0);
        return 1;
    }
    if (errno != EAGAIN && errno != EINTR)
        return unreachable(c, errno, failure);
    c->next_ns = clock_monotonic_ns() + CONNECT_BACKLOG_MS * (uint64_t)NS_PER_MS;
    return connect_time(c, "while connecting to", failure);
}

/* ---- either ------------------------------------------------------------------------- */

int connect_begin(struct connecting *c, const struct address *address,
                  uint64_t deadline_ns, struct failure *failure)
{
    *c = (struct connecting){.address = address, .deadline_ns = deadline_ns};
    if ((address->kind == ADDRESS_UNIX ? begin_unix : begin_tcp)(c, failure) < 0)
        return -1;
    c->give_up_ns = clock_monotonic_ns() + CONNECT_MS_MAX * (uint64_t)NS_PER_MS;
    return 0;
}

int connect_step(struct connecting *c, int *fd, struct failure *failure)
{
    return (c->address->kind == ADDRESS_UNIX ? step_unix : step_tcp)(c, fd, failure);
}

size_t connect_polls(const struct connecting *c, struct pollfd *polls)
{
    if (c->address->kind == ADDRESS_UNIX)
        return 0; /* one that is not connected is always ready */
    for (size_t i = 0; i < c->count; i++)
        polls[i] = (struct pollfd){.fd = c->sockets[i], .events = POLLOUT};
    return c->count;
}

uint64_t connect_wake_ns(const struct connecting *c)
{
    const bool pauses = c->next || (c->address->kind == ADDRESS_UNIX && c->count > 0);

    return pauses && c->next_ns < c->give_up_ns ? c->next_ns : c->give_up_ns;
}

void connect_end(struct connecting *c)
{
    while (c->count > 0)
        close(take_out(c, 0));
    if (c->candidates)
        freeaddrinfo(c->candidates);
    c->candidates = NULL;
    c->next = NULL;
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
