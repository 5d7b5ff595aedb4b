/* SPDX-License-Identifier: Apache-2.0 */
#include "net/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/number.h"
#include "base/peer.h"
#include "net/address.h"

enum { FIRST_DESCRIPTOR = 3 };

unsigned activation_count(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    uint64_t process, sockets;

    if (!pid || !count || !parse_u64(pid, INT32_MAX, &process) ||
        process != (uint64_t)getpid() || !parse_u64(count, INT32_MAX, &sockets))
        return 0;
    return (unsigned)sockets;
}

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t bytes = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &bytes) == 0 ? value : -1;
}

int activation_socket(unsigned index, struct failure *failure)
{
    const int fd = FIRST_DESCRIPTOR + (int)index;

    if (option_of(fd, SO_TYPE) != SOCK_STREAM || option_of(fd, SO_ACCEPTCONN) != 1)
        return fail(failure, TRIT_FAILED_PRECONDITION, "listen",
                    "systemd: descriptor %d is not a stream socket that listens; use "
                    "ListenStream= and Accept=no",
                    fd);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
        return fail(failure, TRIT_UNAVAILABLE, "listen", "systemd: descriptor %d: %s", fd,
                    strerror(errno));
    return fd;
}

bool activation_is_local(void)
{
    const unsigned count = activation_count();

    if (count > ACTIVATION_SOCKETS_MAX)
        return true; /* the start refuses them */
    for (unsigned i = 0; i < count; i++) {
        struct address address = {.bytes = sizeof(address.socket)};
        struct peer self = {.loopback = false};

        if (getsockname(FIRST_DESCRIPTOR + (int)i, (struct sockaddr *)&address.socket,
                        &address.bytes) != 0)
            return false;
        peer_of_address(&address, &self);
        if (!self.loopback)
            return false;
    }
    return true;
}
