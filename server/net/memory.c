/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of memory sockets: packets with descriptors go to `memory`, its replies go
 * back. They carry no calls, so they neither time out nor give way; a process has one. They
 * are closed when the net has no other connection any more, because running calls may name
 * their buffers until then.
 *
 * Failures, each closes the connection: the peer has closed it, sends a packet that is too
 * long, or does not read the replies. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/account.h"
#include "base/limits.h"
#include "memory/memory.h"
#include "net/impl.h"
#include "obs/log.h"
#include "obs/metrics.h"

enum {
    PACKET_BYTES_MAX = 256, /* a MemoryRequest is much shorter */
    PACKETS_PER_TURN = 16,
    DESCRIPTORS_MAX = 4, /* of one packet; the kernel closes the rest */
    SHARE = 3,           /* a user has at most so many times the places that are free */
};

struct memory_conn {
    struct list link; /* in net's memory_conns */
    struct net *net;
    struct origin *origin;
    struct account *account;
    struct memory_client *client;
    uv_poll_t poll;
    int fd;
    uid_t user;
    bool broken; /* close it after the packet */
};

static void on_closed(uv_handle_t *handle)
{
    struct memory_conn *conn = LIST_OWNER(handle, struct memory_conn, poll);
    struct account *account = conn->account;
    struct net *net = conn->net;

    list_remove(&conn->link);
    net->memory_conn_count--;
    origin_leave(net->origins, conn->origin);
    account_free(account, conn);
    account_close(account);
    net_close_if_idle(net);
}

static void close_conn(struct memory_conn *conn)
{
    if (uv_is_closing((uv_handle_t *)&conn->poll))
        return;
    memory_client_close(conn->client);
    uv_close((uv_handle_t *)&conn->poll, on_closed);
    close(conn->fd);
}

void memory_conns_close(struct net *net)
{
    for (struct list *node = net->memory_conns.next, *next; node != &net->memory_conns;
         node = next) {
        next = node->next;
        close_conn(LIST_OWNER(node, struct memory_conn, link));
    }
}

/* ---- packets ----------------------------------------------------------------------- */

/* A reply to a packet that is being read, or to an earlier one. */
static void send_packet(void *arg, const uint8_t *bytes, size_t count)
{
    struct memory_conn *conn = arg;

    if (send(conn->fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return;
    conn->broken = true;
    shutdown(conn->fd, SHUT_RDWR); /* the loop finds it readable, and closes it */
}

/* The descriptor of a packet, or -1: it has none, or several, which are closed. */
static int take_descriptor(struct msghdr *message)
{
    int found[DESCRIPTORS_MAX];
    size_t count = 0;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
         part = CMSG_NXTHDR(message, part)) {
        const size_t bytes = part->cmsg_len - CMSG_LEN(0);

        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        memcpy(found + count, CMSG_DATA(part), bytes);
        count += bytes / sizeof(int);
    }
    if (count == 1 && !(message->msg_flags & MSG_CTRUNC))
        return found[0];
    for (size_t i = 0; i < count; i++)
        close(found[i]);
    return -1;
}

/* Reads a packet. False: there is none now, or the connection must end (`broken`). */
static bool receive_packet(struct memory_conn *conn)
{
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
    } control;
    uint8_t packet[PACKET_BYTES_MAX];
    struct iovec iov = {packet, sizeof(packet)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    const ssize_t count = recvmsg(conn->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int fd;

    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    fd = count < 0 ? -1 : take_descriptor(&message);
    if (count <= 0 || (message.msg_flags & MSG_TRUNC)) {
        if (fd >= 0)
            close(fd);
        conn->broken = true;
        return false;
    }
    memory_client_request(conn->client, packet, (size_t)count, fd);
    return !conn->broken;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct memory_conn *conn = LIST_OWNER(poll, struct memory_conn, poll);

    (void)events;
    conn->broken |= status < 0;
    for (int i = 0; i < PACKETS_PER_TURN && !conn->broken && receive_packet(conn); i++)
        continue;
    if (conn->broken)
        close_conn(conn);
}

/* ---- opening ------------------------------------------------------------------------ */

static uid_t user_of(int fd)
{
    struct ucred credentials = {.uid = (uid_t)-1};
    socklen_t bytes = sizeof(credentials);

    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes);
    return credentials.uid;
}

/* May the user have one more? The others always find a free place. */
static bool has_place(const struct net *net, uid_t user)
{
    const size_t taken = net->memory_conn_count + 1;
    size_t own = 1;

    for (const struct list *node = net->memory_conns.next; node != &net->memory_conns;
         node = node->next)
        own += LIST_OWNER(node, struct memory_conn, link)->user == user;
    return taken <= MEMORY_CONNECTIONS_MAX &&
           own <= SHARE * (MEMORY_CONNECTIONS_MAX - taken);
}

/* Charged to an account of its own. NULL: no memory. */
static struct memory_conn *conn_create(struct net *net, int fd, uid_t user,
                                       const struct address *peer)
{
    struct origin *origin = origin_join(net->origins, peer);
    struct account *account = NULL;
    struct memory_conn *conn = NULL;

    if (!origin)
        return NULL;
    if (origin->account &&
        !(account = account_open(net->origins->budget, origin->account)))
        goto leave;
    conn = account_calloc(account, 1, sizeof(*conn));
    if (!conn)
        goto leave;
    *conn = (struct memory_conn){
        .net = net, .origin = origin, .account = account, .fd = fd, .user = user};
    conn->client =
        memory_client_open(net->config.memory, account, user, send_packet, conn);
    if (!conn->client)
        goto free_conn;
    if (uv_poll_init(net->config.loop, &conn->poll, fd) == 0)
        return conn;
    memory_client_close(conn->client);
free_conn:
    account_free(account, conn);
leave:
    account_close(account);
    origin_leave(net->origins, origin);
    return NULL;
}

static void refuse(struct net *net, int fd, enum limit_id limit, const char *why)
{
    metric_limit(net->config.metrics, limit);
    close(fd);
    log_event(net->config.log, LOG_WARN, "memory_conn_refused",
              LOG_FIELDS(LOG_STR("why", why)));
}

void memory_conn_open(struct net *net, int fd, const struct address *peer)
{
    const uid_t user = user_of(fd);
    struct memory_conn *conn;

    if (!has_place(net, user)) {
        refuse(net, fd, L_MEMORY_CONNECTIONS, "too many memory connections of this user");
        return;
    }
    conn = conn_create(net, fd, user, peer);
    if (!conn) {
        refuse(net, fd, L_MEMORY, "no memory");
        return;
    }
    list_push(&net->memory_conns, &conn->link);
    net->memory_conn_count++;
    uv_poll_start(&conn->poll, UV_READABLE, on_readable);
}
