/* SPDX-License-Identifier: Apache-2.0 */
#include "web/front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/number.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "web/http_stream.h"

enum {
    FIXED_FDS = 4,         /* of the poll array: stop, listen, engine, done */
    ACCEPT_PAUSE_MS = 100, /* after an error that does not go away by itself */
    ACCEPTS_MAX = 32,      /* in one turn */
};

struct front {
    struct front_config config;
    struct list conns;
    size_t count, reserved; /* the reserved ones are not in `count` */
    uint64_t tell_ns;       /* when the streams are told what is new */
    uint64_t accept_from_ns;
    int spares[HTTP_SPARES_MAX];
    size_t spare_count;
    struct pollfd *polled;
};

#define EACH_CONN(conn, node, next, front)                                               \
    for (struct list *node = (front)->conns.next, *next = node->next;                    \
         node != &(front)->conns &&                                                      \
         (conn = LIST_OWNER(node, struct http_conn, link), true);                        \
         node = next, next = node->next)

/* ---- descriptors for probes ------------------------------------------------------------ */

static void fill_spares(struct front *front)
{
    while (front->spare_count < HTTP_SPARES_MAX) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        if (fd < 0)
            return;
        front->spares[front->spare_count++] = fd;
    }
}

/* No more than are used now: other threads take what is free. */
static bool free_spares(struct front *front, int count)
{
    if (front->spare_count == 0)
        return false;
    for (int i = 0; i < count && front->spare_count > 0; i++)
        close(front->spares[--front->spare_count]);
    return true;
}

static bool free_pair(void *front)
{
    return free_spares(front, 2);
}

/* ---- who gives way --------------------------------------------------------------------- */

static bool gives_way(const struct http_conn *conn)
{
    return conn->state == HTTP_READING || conn->state == HTTP_LINGERING ||
           conn->state == HTTP_STREAMING;
}

/* One of the reserve does so also while its client does not read. */
static bool gives_up_reserve(const struct http_conn *conn)
{
    return gives_way(conn) || conn->out_at < conn->out_count ||
           http_io_wants_to_write(&conn->io);
}

static size_t count_of(struct front *front, const struct ip *ip, bool reserved)
{
    struct http_conn *conn;
    size_t count = 0;

    EACH_CONN(conn, node, next, front)
    count += conn->reserved == reserved && ip_same_origin(&conn->ip, ip);
    return count;
}

static void drop(struct front *front, struct http_conn *conn)
{
    if (conn->reserved && front->reserved > 0)
        front->reserved--;
    else if (!conn->reserved)
        front->count--;
    list_remove(&conn->link);
    http_conn_destroy(conn);
}

/* Closes the connection that has waited longest without a whole request: among those of
 * `ip`, or of the address that has the most. False: every connection is busy. */
static bool make_room(struct front *front, const struct ip *ip, bool reserved)
{
    struct http_conn *conn, *chosen = NULL;
    size_t most = 0;

    EACH_CONN(conn, node, next, front)
    {
        size_t held = ip ? 1 : count_of(front, &conn->ip, reserved);

        if (conn->reserved != reserved || (ip && !ip_same_origin(&conn->ip, ip)) ||
            !(reserved ? gives_up_reserve(conn) : gives_way(conn)))
            continue;
        if (!chosen || held > most ||
            (held == most && conn->deadline_ns < chosen->deadline_ns)) {
            chosen = conn;
            most = held;
        }
    }
    if (!chosen)
        return false;
    drop(front, chosen);
    return true;
}

static size_t address_max(const struct front *front, const struct ip *ip)
{
    const struct limits *limits = front->config.shared.limits;

    if (network_has(front->config.proxies, front->config.proxy_count, ip))
        return SIZE_MAX;
    if (limits->http_address_max)
        return limits->http_address_max;
    /* Every client of this machine has the same address. */
    return ip_is_loopback(ip) ? (limits->http_connections_max * (size_t)3 + 3) / 4
                              : (limits->http_connections_max + (size_t)7) / 8;
}

/* Whether there is room for one more stream: by how many there are, in all and of its
 * address. */
static bool has_stream(struct front *front, const struct http_conn *asking)
{
    const struct limits *limits = front->config.shared.limits;
    size_t most = address_max(front, &asking->ip), count = 0, same = 0;
    struct http_conn *conn;

    EACH_CONN(conn, node, next, front)
    {
        count += conn->streams;
        same += conn->streams && ip_same_origin(&conn->ip, &asking->ip);
    }
    if (count < http_streams_max(limits->http_connections_max) &&
        (most == SIZE_MAX || same < http_streams_max(most)))
        return true;
    metric_limit(front->config.shared.metrics, L_HTTP_STREAMS);
    return false;
}

void front_stream(struct front *front, struct http_conn *conn, const struct reply *reply)
{
    const struct front_config *config = &front->config;
    struct failure failure = {.status = TRIT_OK};

    if (!has_stream(front, conn)) {
        fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL,
             "too many streams of events are open; read the page again later");
        http_conn_refuse(conn, 503, &failure);
    } else if (http_stream_begin(conn, reply,
                                 config->engine_versions(config->shared.engine),
                                 clock_monotonic_ns()) < 0) {
        fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
        http_conn_refuse(conn, 503, &failure);
    } else {
        metric_http(config->shared.metrics, conn->route, 200);
    }
}

enum place { PLACE_FREE, PLACE_RESERVED, PLACE_NONE };

static enum place find_place(struct front *front, const struct ip *ip)
{
    struct metrics *metrics = front->config.shared.metrics;

    if (count_of(front, ip, false) >= address_max(front, ip)) {
        metric_limit(metrics, L_HTTP_ADDRESS);
        if (make_room(front, ip, false))
            return PLACE_FREE;
    } else if (front->count < front->config.shared.limits->http_connections_max) {
        return PLACE_FREE;
    } else {
        metric_limit(metrics, L_HTTP_CONNECTIONS);
        if (make_room(front, NULL, false))
            return PLACE_FREE;
    }
    if (front->reserved < HTTP_RESERVED_MAX || make_room(front, NULL, true))
        return PLACE_RESERVED;
    return PLACE_NONE;
}

/* ---- accepting --------------------------------------------------------------------------- */

static void peer_of(const struct sockaddr_storage *from, const struct ip *ip,
                    struct peer *peer)
{
    char text[INET6_ADDRSTRLEN] = "";

    *peer = (struct peer){.loopback = ip_is_loopback(ip)};
    if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;

        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
        snprintf(peer->address, sizeof(peer->address), "[%s]:%u", text,
                 (unsigned)ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;

        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
        snprintf(peer->address, sizeof(peer->address), "%s:%u", text,
                 (unsigned)ntohs(v4->sin_port));
    }
}

static void admit(struct front *front, int fd, const struct sockaddr_storage *from,
                  bool spare)
{
    struct http_conn *conn;
    enum place place;
    struct peer peer;
    const int on = 1;
    struct ip ip;

    if (!ip_of((const struct sockaddr *)from, &ip)) {
        close(fd);
        return;
    }
    peer_of(from, &ip, &peer);
    place = spare ? PLACE_RESERVED : find_place(front, &ip);
    if (place == PLACE_NONE) {
        log_event(front->config.shared.log, LOG_WARN, "http_refused",
                  LOG_FIELDS(LOG_STR("peer", peer.address),
                             LOG_STR("message", "every connection is in use")));
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    conn = http_conn_create(&front->config.shared, fd, &ip, &peer, clock_monotonic_ns());
    if (!conn)
        return;
    conn->reserved = place == PLACE_RESERVED;
    *(conn->reserved ? &front->reserved : &front->count) += 1;
    list_push(&front->conns, &conn->link);
    if (conn->reserved) /* before the next ones take its place */
        http_conn_step(conn, POLLIN, clock_monotonic_ns());
}

/* For a probe, when none is left for an accept. */
static bool free_descriptor(struct front *front)
{
    if (front->reserved >= HTTP_RESERVED_MAX)
        return make_room(front, NULL, true);
    return free_spares(front, 1) || make_room(front, NULL, false);
}

/* Not while all are busy, the reserve too: it is free again after the next turn, and
 * until then a probe is better off in the backlog. */
static bool can_place(struct front *front)
{
    struct http_conn *conn;

    if (front->count < front->config.shared.limits->http_connections_max ||
        front->reserved < HTTP_RESERVED_MAX)
        return true;
    EACH_CONN(conn, node, next, front)
    if (conn->reserved ? gives_up_reserve(conn) : gives_way(conn))
        return true;
    return false;
}

static void accept_some(struct front *front)
{
    bool spare = false;

    for (int i = 0; i < ACCEPTS_MAX && can_place(front); i++) {
        struct sockaddr_storage from;
        socklen_t bytes = sizeof(from);
        int fd = accept4(front->config.listen_fd, (struct sockaddr *)&from, &bytes,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            admit(front, fd, &from, spare);
            spare = false;
        } else if ((errno == EMFILE || errno == ENFILE) && !spare &&
                   free_descriptor(front)) {
            spare = true; /* once more, for a probe */
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            front->accept_from_ns =
                clock_monotonic_ns() + ACCEPT_PAUSE_MS * (uint64_t)1000000;
            return;
        }
    }
}

/* ---- the loop ------------------------------------------------------------------------------ */

static size_t fill_polled(struct front *front, uint64_t now_ns, uint64_t *wake_ns)
{
    struct pollfd *polled = front->polled;
    bool accepts = now_ns >= front->accept_from_ns;
    struct http_conn *conn;
    size_t count = FIXED_FDS;

    polled[0] = (struct pollfd){.fd = front->config.stop_fd, .events = POLLIN};
    polled[1] =
        (struct pollfd){.fd = accepts ? front->config.listen_fd : -1, .events = POLLIN};
    polled[2] = (struct pollfd){.fd = front->config.engine_fd, .events = POLLIN};
    polled[3] = (struct pollfd){.fd = front->config.done_fd, .events = POLLIN};
    *wake_ns = accepts ? UINT64_MAX : front->accept_from_ns;
    EACH_CONN(conn, node, next, front)
    {
        polled[count++] =
            (struct pollfd){.fd = conn->io.fd, .events = http_conn_client_events(conn)};
        polled[count++] =
            (struct pollfd){.fd = conn->ours, .events = http_conn_engine_events(conn)};
        *wake_ns = u64_min(*wake_ns, conn->deadline_ns);
        if (conn->state == HTTP_STREAMING)
            *wake_ns = u64_min(*wake_ns, front->tell_ns);
    }
    return count;
}

static int wait_ms(const struct front *front, uint64_t now_ns, uint64_t wake_ns)
{
    int engine = front->config.engine_wait_ms(front->config.shared.engine), ms;

    if (wake_ns == UINT64_MAX)
        return engine;
    ms = wake_ns <= now_ns ? 0 : (int)((wake_ns - now_ns) / 1000000 + 1);
    return engine >= 0 && engine < ms ? engine : ms;
}

/* The array is in the order of the list: nothing was added or removed meanwhile. */
static void step_all(struct front *front, uint64_t now_ns)
{
    size_t at = FIXED_FDS;
    struct http_conn *conn;

    EACH_CONN(conn, node, next, front)
    {
        http_conn_step(conn, front->polled[at].revents, now_ns);
        at += 2;
    }
}

/* Tells the streams what is new, if it is time. */
static void tell_streams(struct front *front, uint64_t now_ns)
{
    const struct front_config *config = &front->config;
    struct http_conn *conn;
    struct http_versions versions;

    if (now_ns < front->tell_ns)
        return;
    front->tell_ns = now_ns + HTTP_STREAM_CHECK_MS * (uint64_t)1000000;
    versions = config->engine_versions(config->shared.engine);
    EACH_CONN(conn, node, next, front)
    {
        if (conn->state == HTTP_STREAMING) {
            http_stream_tell(conn, versions, now_ns);
            http_conn_step(conn, 0, now_ns);
        }
    }
}

/* What the engine has written goes out without another turn. */
static void pass_on(struct front *front, uint64_t now_ns)
{
    bool borrowed = false;
    struct http_conn *conn;

    EACH_CONN(conn, node, next, front)
    {
        if (conn->state == HTTP_ANSWERING)
            http_conn_step(conn, 0, now_ns);
        if (conn->state != HTTP_CLOSED && now_ns >= conn->deadline_ns)
            http_conn_expire(conn);
        if (conn->state == HTTP_CLOSED)
            drop(front, conn);
        else
            borrowed |= conn->reserved || conn->borrowed;
    }
    if (!borrowed)
        fill_spares(front);
}

void front_run(struct front *front)
{
    for (;;) {
        uint64_t now_ns = clock_monotonic_ns(), wake_ns;
        size_t count = fill_polled(front, now_ns, &wake_ns);
        int ready = poll(front->polled, (nfds_t)count, wait_ms(front, now_ns, wake_ns));

        now_ns = clock_monotonic_ns();
        if (ready > 0 && front->polled[0].revents)
            return;
        if (ready > 0)
            step_all(front, now_ns);
        front->config.engine_run(front->config.shared.engine);
        tell_streams(front, now_ns);
        pass_on(front, now_ns);
        if (ready > 0 && front->polled[1].revents)
            accept_some(front);
    }
}

/* ---- create and destroy ---------------------------------------------------------------------- */

int front_create(struct front **out, const struct front_config *config,
                 struct failure *failure)
{
    size_t conns =
        config->shared.limits->http_connections_max + (size_t)HTTP_RESERVED_MAX;
    struct front *front = calloc(1, sizeof(*front));

    if (front)
        front->polled = calloc(FIXED_FDS + 2 * conns, sizeof(front->polled[0]));
    if (!front || !front->polled) {
        free(front);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "http: out of memory");
    }
    front->config = *config;
    front->config.shared.front = front;
    front->config.shared.need_descriptors = free_pair;
    list_init(&front->conns);
    fill_spares(front);
    *out = front;
    return 0;
}

void front_destroy(struct front *front)
{
    struct http_conn *conn;

    if (!front)
        return;
    EACH_CONN(conn, node, next, front)
    drop(front, conn);
    while (front->spare_count > 0)
        close(front->spares[--front->spare_count]);
    free(front->polled);
    free(front);
}

struct http_conn *front_find(struct front *front, int engine_fd)
{
    struct http_conn *conn;

    EACH_CONN(conn, node, next, front)
    if (conn->theirs == engine_fd)
        return conn;
    return NULL;
}
