/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets. They are plain sockets watched by uv_poll, not uv_tcp or
 * uv_pipe listeners, for one reason: when accept fails for want of descriptors,
 * libuv's loop accepts and drops, or, without its spare descriptor, spins.
 *
 * Happy path: listener_open binds and watches → on_readable accepts up to
 * ACCEPTS_PER_TURN sockets, each becomes a conn → listeners_close accepts what the
 * backlog still has, stops watching, closes, removes a Unix socket's file → on_closed
 * frees and tells net.
 *
 * Failures:
 *   no descriptors or memory  some connections give way (yield.c) and the watch stops;
 *                             `again` starts it ACCEPT_PAUSE_MS later. Peers wait in the
 *                             backlog meanwhile.
 *   peer gone before accept   the next one.
 *   too many connections      one gives way; if none can: accepted, closed, counted.
 *   anything else             logged; the watch goes on. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/activation.h"
#include "net/impl.h"
#include "obs/log.h"

enum {
    BACKLOG = 1024, /* the kernel cuts it to net.core.somaxconn */
    ACCEPTS_PER_TURN = 64,
    ACCEPT_PAUSE_MS = 100,
};

#define MEMORY_SUFFIX ".memory"

struct listener {
    struct list link;
    struct net *net;
    uv_poll_t poll;
    int fd;
    bool adopted; /* systemd keeps the socket and its backlog */
    bool memory;  /* its connections share memory (memory.c) */
    struct timer again;
    char unix_path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "" = not Unix */
};

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_again(struct timer *timer)
{
    struct listener *listener = LIST_OWNER(timer, struct listener, again);

    uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

static void pause_accepting(struct listener *listener, int error)
{
    struct net *net = listener->net;

    net_give_way(net);
    uv_poll_stop(&listener->poll);
    timer_arm(net->config.timers, &listener->again, after_ms(ACCEPT_PAUSE_MS));
    log_event(net->config.log, LOG_WARN, "accept_paused",
              LOG_FIELDS(LOG_STR("error", strerror(error))));
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

/* 0: it has accepted as many as it may. Otherwise what stopped it: EAGAIN, or a
 * shortage. */
static int accept_some(struct listener *listener, int max)
{
    for (int i = 0; i < max; i++) {
        struct address peer = {.bytes = sizeof(peer.socket)};
        int fd = accept4(listener->fd, (struct sockaddr *)&peer.socket, &peer.bytes,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0 && listener->memory)
            memory_conn_open(listener->net, fd, &peer);
        else if (fd >= 0)
            net_admit(listener->net, fd, &peer);
        else if (errno == EAGAIN || is_shortage(errno))
            return errno;
        else if (errno != ECONNABORTED && errno != EINTR)
            log_event(listener->net->config.log, LOG_WARN, "accept_failed",
                      LOG_FIELDS(LOG_STR("error", strerror(errno))));
    }
    return 0;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = LIST_OWNER(poll, struct listener, poll);
    int error = accept_some(listener, ACCEPTS_PER_TURN);

    (void)status, (void)events; /* accept4 reports errors more precisely */
    if (is_shortage(error))
        pause_accepting(listener, error);
}

static int failed(struct failure *failure, const char *text, const char *what)
{
    return fail(failure, TRIT_UNAVAILABLE, "listen", "\"%.200s\": %s: %s", text, what,
                strerror(errno));
}

/* Removes a socket file that no process listens on. Any other file, or a socket
 * that a process listens on, is an error. */
static int remove_stale(const struct address *address, const char *path, const char *text,
                        struct failure *failure)
{
    struct stat status;
    int fd, result;

    if (lstat(path, &status) != 0)
        return errno == ENOENT ? 0 : failed(failure, text, "stat");
    if (!S_ISSOCK(status.st_mode))
        return fail(failure, TRIT_FAILED_PRECONDITION, "listen",
                    "\"%.200s\": a file that is not a socket is already there", text);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return failed(failure, text, "socket");
    result = connect(fd, (const struct sockaddr *)&address->socket, address->bytes);
    if (result != 0 && errno == ECONNREFUSED)
        result = unlink(path) == 0 ? 0 : failed(failure, text, "unlink");
    else if (result != 0 && errno != EAGAIN) /* another user's, for instance */
        result = failed(failure, text, "connect");
    else
        result = fail(failure, TRIT_FAILED_PRECONDITION, "listen",
                      "\"%.200s\": another process listens there", text);
    close(fd);
    return result;
}

static int bind_socket(struct listener *listener, const struct address *address,
                       const char *text, struct failure *failure)
{
    const struct sockaddr *any = (const struct sockaddr *)&address->socket;
    const int yes = 1;

    if (any->sa_family == AF_UNIX) {
        const char *path = ((const struct sockaddr_un *)&address->socket)->sun_path;

        if (remove_stale(address, path, text, failure) < 0)
            return -1;
        if (bind(listener->fd, any, address->bytes) != 0)
            return failed(failure, text, "bind");
        memcpy(listener->unix_path, path, sizeof(listener->unix_path));
        if (chmod(path, listener->net->config.unix_mode) !=
            0) /* before listen: no peer can connect yet */
            return failed(failure, text, "chmod");
        return 0;
    }
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    return bind(listener->fd, any, address->bytes) == 0 ? 0
                                                        : failed(failure, text, "bind");
}

static void listener_release(struct listener *listener)
{
    if (listener->unix_path[0])
        unlink(listener->unix_path);
    close(listener->fd);
}

static int watch(struct listener *listener, const char *text, struct failure *failure)
{
    struct net *net = listener->net;
    int code = uv_poll_init(net->config.loop, &listener->poll, listener->fd);

    if (code != 0)
        return fail(failure, TRIT_UNAVAILABLE, "listen", "\"%.200s\": %s", text,
                    uv_strerror(code));
    uv_poll_start(&listener->poll, UV_READABLE, on_readable);
    return 0;
}

static struct listener *listener_create(struct net *net, struct failure *failure)
{
    struct listener *listener = calloc(1, sizeof(*listener));

    if (!listener) {
        fail(failure, TRIT_RESOURCE_EXHAUSTED, "listen", "out of memory");
        return NULL;
    }
    listener->net = net;
    timer_init(&listener->again, on_again);
    return listener;
}

/* Writes the address that the socket has to `bound`. */
static void begin(struct listener *listener, char *bound, size_t bound_bytes)
{
    struct address address = {.bytes = sizeof(address.socket)};

    getsockname(listener->fd, (struct sockaddr *)&address.socket, &address.bytes);
    address_format(&address, bound, bound_bytes);
    list_push(&listener->net->listeners, &listener->link);
}

/* A socket of this type that listens. NULL: *failure. */
static struct listener *open_socket(struct net *net, const struct address *address,
                                    const char *text, int type, struct failure *failure)
{
    struct listener *listener = listener_create(net, failure);

    if (!listener)
        return NULL;
    listener->fd =
        socket(address->socket.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0) {
        failed(failure, text, "socket");
        goto free_listener;
    }
    if (bind_socket(listener, address, text, failure) < 0)
        goto release;
    if (listen(listener->fd, BACKLOG) != 0) {
        failed(failure, text, "listen");
        goto release;
    }
    if (watch(listener, text, failure) < 0)
        goto release;
    return listener;

release:
    listener_release(listener);
free_listener:
    free(listener);
    return NULL;
}

/* Opens the memory socket beside a Unix socket. Without it clients send their bytes, so a
 * failure is only logged. */
static void open_memory(const struct listener *main)
{
    struct net *net = main->net;
    struct address address = {.bytes = sizeof(address.socket)};
    struct sockaddr_un *name = (struct sockaddr_un *)&address.socket;
    struct failure failure = {.status = TRIT_OK};
    struct listener *listener = NULL;
    char text[sizeof(name->sun_path) + sizeof(MEMORY_SUFFIX)];

    if (!net->config.memory ||
        getsockname(main->fd, (struct sockaddr *)name, &address.bytes) != 0 ||
        name->sun_family != AF_UNIX || name->sun_path[0] == '\0')
        return;
    snprintf(text, sizeof(text), "%.*s" MEMORY_SUFFIX, (int)sizeof(name->sun_path),
             name->sun_path);
    if (strlen(text) >= sizeof(name->sun_path)) {
        fail(&failure, TRIT_INVALID_ARGUMENT, NULL, "the path is too long");
    } else {
        strcpy(name->sun_path, text);
        address.bytes = sizeof(*name);
        listener = open_socket(net, &address, text, SOCK_SEQPACKET, &failure);
    }
    if (!listener) {
        log_event(net->config.log, LOG_WARN, "memory_socket_failed",
                  LOG_FIELDS(LOG_STR("path", text), LOG_STR("error", failure.message)));
        return;
    }
    listener->memory = true;
    list_push(&net->listeners, &listener->link);
}

/* Listens on a socket that systemd has opened, and keeps open. */
static int adopt(struct net *net, unsigned index, char *bound, size_t bound_bytes,
                 struct failure *failure)
{
    int fd = activation_socket(index, failure);
    struct listener *listener = fd < 0 ? NULL : listener_create(net, failure);

    if (!listener)
        return -1;
    listener->fd = fd;
    listener->adopted = true;
    if (watch(listener, "systemd", failure) < 0) {
        free(listener);
        return -1;
    }
    begin(listener, bound, bound_bytes);
    open_memory(listener);
    return 0;
}

static int adopt_all(struct net *net, char *bound, size_t bound_bytes,
                     struct failure *failure)
{
    const unsigned count = activation_count();
    size_t at = 0;

    if (count == 0)
        return fail(failure, TRIT_FAILED_PRECONDITION, "listen",
                    "systemd: no socket was passed to this process (LISTEN_FDS, "
                    "LISTEN_PID)");
    if (count > ACTIVATION_SOCKETS_MAX)
        return fail(failure, TRIT_FAILED_PRECONDITION, "listen",
                    "systemd: %u sockets were passed (LISTEN_FDS); at most %d are served",
                    count, ACTIVATION_SOCKETS_MAX);
    for (unsigned i = 0; i < count; i++) {
        if (i > 0 && at + 1 < bound_bytes)
            bound[at++] = ',';
        if (adopt(net, i, bound + at, bound_bytes - at, failure) < 0)
            return -1;
        at += strlen(bound + at);
    }
    return 0;
}

int listener_open(struct net *net, const char *text, char *bound, size_t bound_bytes,
                  struct failure *failure)
{
    struct listener *listener;
    struct address address;

    if (strcmp(text, LISTEN_SYSTEMD) == 0)
        return adopt_all(net, bound, bound_bytes, failure);
    if (listen_address_parse(&address, text, failure) < 0)
        return -1;
    listener = open_socket(net, &address, text, SOCK_STREAM, failure);
    if (!listener)
        return -1;
    begin(listener, bound, bound_bytes);
    open_memory(listener);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = LIST_OWNER(handle, struct listener, poll);
    struct net *net = listener->net;

    list_remove(&listener->link);
    free(listener);
    net_close_if_idle(net);
}

/* Closes the socket now, so that the next daemon can bind; libuv's close callback
 * frees the memory. A peer whose connection is in the backlog may have sent its request
 * already, so a drain accepts these first. */
void listeners_close(struct net *net)
{
    for (struct list *node = net->listeners.next; node != &net->listeners;
         node = node->next) {
        struct listener *listener = LIST_OWNER(node, struct listener, link);

        if (uv_is_closing((uv_handle_t *)&listener->poll))
            continue;
        timer_disarm(net->config.timers, &listener->again);
        if (net->state == NET_DRAINING && !listener->adopted)
            accept_some(listener, BACKLOG);
        uv_close((uv_handle_t *)&listener->poll, on_closed);
        listener_release(listener);
    }
}
