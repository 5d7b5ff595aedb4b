/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a daemon could listen on an address, found without listening there. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/address.h"
#include "net/listener.h"

static int refused(struct failure *failure, const char *text, const char *what, int error)
{
    return fail(failure, TRIT_UNAVAILABLE, "listen", "\"%.200s\": %s: %s", text, what,
                strerror(error));
}

/* Binds a socket and closes it. It never listens, so no peer can connect. An address in
 * use is allowed: the daemon that is to be restarted may hold it. */
static int check_bind(const struct address *address, const char *text,
                      struct failure *failure)
{
    const int yes = 1;
    int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = 0;

    if (fd < 0)
        return refused(failure, text, "socket", errno);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, (const struct sockaddr *)&address->socket, address->bytes) < 0)
        error = errno;
    close(fd);
    return error && error != EADDRINUSE ? refused(failure, text, "bind", error) : 0;
}

/* Binds another name in the folder of the socket's file, for a moment. */
static int check_folder(const struct sockaddr_un *address, const char *text,
                        struct failure *failure)
{
    struct address trial = {.bytes = sizeof(*address)};
    struct sockaddr_un *name = (struct sockaddr_un *)&trial.socket;
    char own[32];
    char *slash;

    *name = *address;
    slash = strrchr(name->sun_path, '/');
    snprintf(own, sizeof(own), ".check-config-%ld", (long)getpid());
    if ((size_t)(slash + 1 - name->sun_path) + strlen(own) >= sizeof(name->sun_path)) {
        slash[slash == name->sun_path] = '\0';
        return access(name->sun_path, W_OK | X_OK) < 0
                   ? refused(failure, text, name->sun_path, errno)
                   : 0;
    }
    strcpy(slash + 1, own);
    if (check_bind(&trial, text, failure) < 0)
        return -1;
    unlink(name->sun_path);
    return 0;
}

static int check_unix(const struct sockaddr_un *address, const char *text,
                      struct failure *failure)
{
    struct stat status;

    if (lstat(address->sun_path, &status) == 0 && !S_ISSOCK(status.st_mode))
        return fail(failure, TRIT_FAILED_PRECONDITION, "listen",
                    "\"%.200s\": a file that is not a socket is already there", text);
    return check_folder(address, text, failure);
}

/* ---- two addresses ---- */

static unsigned port_of(const struct address *address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&address->socket;

    return address->socket.ss_family == AF_UNIX ? 0
                                                : in->sin_port; /* as in sockaddr_in6 */
}

static bool is_any(const struct address *address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&address->socket;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->socket;

    return address->socket.ss_family == AF_INET
               ? in->sin_addr.s_addr == INADDR_ANY
               : IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

/* Whether sockets of IPv6 take connections of IPv4, too. */
static bool is_dual(void)
{
    int only = 0, fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t bytes = sizeof(only);

    if (fd < 0)
        return false;
    getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &bytes);
    close(fd);
    return only == 0;
}

static bool same_unix(const struct address *a, const struct address *b)
{
    return strcmp(((const struct sockaddr_un *)&a->socket)->sun_path,
                  ((const struct sockaddr_un *)&b->socket)->sun_path) == 0;
}

/* Whether one process cannot listen on both. */
static bool collide(const struct address *a, const struct address *b)
{
    const int family = a->socket.ss_family;

    if (family == AF_UNIX || b->socket.ss_family == AF_UNIX)
        return family == b->socket.ss_family && same_unix(a, b);
    if (port_of(a) != port_of(b) || port_of(a) == 0)
        return false;
    if (family != b->socket.ss_family)
        return is_any(family == AF_INET6 ? a : b) && is_dual();
    return is_any(a) || is_any(b) || memcmp(&a->socket, &b->socket, a->bytes) == 0;
}

static int check_one(const char *text, struct address *address, struct failure *failure)
{
    if (listen_address_parse(address, text, failure) < 0)
        return -1;
    if (address->socket.ss_family == AF_UNIX)
        return check_unix((const struct sockaddr_un *)&address->socket, text, failure);
    return check_bind(address, text, failure);
}

int net_addresses_check(const char *const *texts, size_t count, struct failure *failure)
{
    struct address other, address;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(texts[i], LISTEN_SYSTEMD) == 0) /* only systemd passes sockets */
            continue;
        if (check_one(texts[i], &address, failure) < 0)
            return -1;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(texts[k], LISTEN_SYSTEMD) == 0 ||
                listen_address_parse(&other, texts[k], failure) < 0 ||
                !collide(&other, &address))
                continue;
            return fail(failure, TRIT_INVALID_ARGUMENT, "listen",
                        "\"%.100s\" and \"%.100s\": one process cannot listen on both",
                        texts[k], texts[i]);
        }
    }
    return 0;
}
