/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a daemon could listen on an address, found without listening there. */
#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/address.h"
#include "net/listener.h"

static int refused(struct failure *failure, const char *text, const char *what, int error)
{
    return fail(failure, TRIT_UNAVAILABLE, "listen", "\"%.200s\": %s: %s", text, what,
                strerror(error));
}

/* The folder of the socket's file must be writable. */
static int check_unix(const struct sockaddr_un *address, const char *text,
                      struct failure *failure)
{
    char folder[sizeof(address->sun_path)];
    char *slash;

    memcpy(folder, address->sun_path, sizeof(folder));
    slash = strrchr(folder, '/');
    slash[slash == folder] = '\0';
    if (access(folder, W_OK | X_OK) < 0)
        return refused(failure, text, folder, errno);
    return 0;
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

int net_address_check(const char *text, struct failure *failure)
{
    struct address address;

    if (strcmp(text, LISTEN_SYSTEMD) == 0) /* only systemd passes sockets */
        return 0;
    if (listen_address_parse(&address, text, failure) < 0)
        return -1;
    if (address.socket.ss_family == AF_UNIX)
        return check_unix((const struct sockaddr_un *)&address.socket, text, failure);
    return check_bind(&address, text, failure);
}
