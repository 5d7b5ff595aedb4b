/* The whole of it: listeners, connections, and the end.
 *
 * Flushing. Output arises anywhere: while a socket is read, when a letter from a
 * worker arrives, when a timer fires. conn_dirty() notes the connection; the
 * check handle, which libuv runs once after polling, writes what all of them
 * have, so that many small results leave in one system call. While something is
 * dirty the idle handle is active, which keeps polling from waiting.
 *
 * The end. net_drain closes the listeners and asks every session to drain. A
 * session says its second GOAWAY when the peer has answered its PING; those that
 * do not answer within DRAIN_PING_MS are made to. Connections close as their
 * last stream does. What is left at drain_ms_max, or at net_abort, is closed.
 * Whenever a listener or connection has gone, net_settle looks: with none left,
 * the two handles are closed, and in the last close callback `drained` is
 * called. So it is never called from within net_drain or net_abort. */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "net/conn.h"
#include "obs/log.h"

enum {
    /* A round trip anywhere on earth, with margin; grpc-go waits for 5 s. */
    DRAIN_PING_MS = 1000,
};

#define BIT(state) (1u << (state))

static const unsigned moves[NET_STATES] = {
    [NET_SERVING] = BIT(NET_DRAINING) | BIT(NET_ABORTING),
    [NET_DRAINING] = BIT(NET_ABORTING) | BIT(NET_CLOSING),
    [NET_ABORTING] = BIT(NET_CLOSING),
    [NET_CLOSING] = BIT(NET_DRAINED),
};

static bool net_moves(struct net *net, enum net_state to)
{
    if (!(moves[net->state] & BIT(to)))
        return false;
    net->state = to;
    return true;
}

#undef BIT

static struct conn *conn_of(struct list *node)
{
    return LIST_OWNER(node, struct conn, link);
}

static void on_awake(uv_idle_t *idle)
{
    (void)idle; /* its being active is all */
}

void conn_dirty(struct conn *conn)
{
    struct net *net = conn->net;

    if (!list_empty(&conn->dirty))
        return;
    list_push(&net->dirty, &conn->dirty);
    uv_idle_start(&net->awake, on_awake);
}

/* Those that become dirty again meanwhile wait for the next turn. */
static void on_flush(uv_check_t *check)
{
    struct net *net = LIST_OWNER(check, struct net, flush);
    struct list now;
    struct list *node;

    list_init(&now);
    while ((node = list_pop(&net->dirty)))
        list_push(&now, node);
    while ((node = list_pop(&now)))
        conn_flush(LIST_OWNER(node, struct conn, dirty));
    if (list_empty(&net->dirty))
        uv_idle_stop(&net->awake);
}

static void on_drain_timer(struct timer *timer)
{
    struct net *net = LIST_OWNER(timer, struct net, drain_timer);
    struct list *node;

    if (clock_monotonic_ns() >= net->drain_until_ns) {
        log_event(net->config.log, LOG_WARN, "drain_timeout",
                  LOG_FIELDS(LOG_U64("connections", net->conn_count)));
        net_abort(net);
        return;
    }
    for (node = net->conns.next; node != &net->conns; node = node->next)
        conn_drain_finish(conn_of(node));
    timer_arm(net->config.timers, &net->drain_timer, net->drain_until_ns);
}

int net_create(struct net **out, const struct net_config *config, struct failure *failure)
{
    struct net *net = calloc(1, sizeof(*net));

    if (!net)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    net->read_buffer = malloc(READ_BYTES);
    if (!net->read_buffer) {
        free(net);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    net->config = *config;
    net->state = NET_SERVING;
    list_init(&net->listeners);
    list_init(&net->conns);
    list_init(&net->dirty);
    timer_init(&net->drain_timer, on_drain_timer);
    uv_check_init(config->loop, &net->flush);
    uv_check_start(&net->flush, on_flush);
    uv_idle_init(config->loop, &net->awake);
    net->handles = 2;
    *out = net;
    return 0;
}

int net_listen(struct net *net, const char *address, char *bound, size_t bound_bytes,
               struct failure *failure)
{
    assert(net->state == NET_SERVING);
    return listener_open(net, address, bound, bound_bytes, failure);
}

bool net_address_is_local(const char *address)
{
    return address_is_local(address);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct net *net = handle->data;

    if (--net->handles > 0)
        return;
    net_moves(net, NET_DRAINED);
    if (net->drained)
        net->drained(net->drained_arg);
}

static void close_handle(struct net *net, uv_handle_t *handle)
{
    handle->data = net;
    uv_close(handle, on_handle_closed);
}

void net_settle(struct net *net)
{
    if (!list_empty(&net->listeners) || !list_empty(&net->conns))
        return;
    if (!net_moves(net, NET_CLOSING))
        return; /* serving, and the last connection went */
    timer_disarm(net->config.timers, &net->drain_timer);
    close_handle(net, (uv_handle_t *)&net->flush);
    close_handle(net, (uv_handle_t *)&net->awake);
}

void net_drain(struct net *net, void (*drained)(void *arg), void *arg)
{
    const uint64_t drain_ms = net->config.limits->drain_ms_max;
    struct list *node;

    net->drained = drained;
    net->drained_arg = arg;
    if (!net_moves(net, NET_DRAINING))
        return;
    net->drain_until_ns = after_ms(drain_ms);
    timer_arm(net->config.timers, &net->drain_timer,
              after_ms(drain_ms < DRAIN_PING_MS ? drain_ms : DRAIN_PING_MS));
    listeners_close(net);
    for (node = net->conns.next; node != &net->conns; node = node->next)
        conn_drain(conn_of(node));
    net_settle(net);
}

void net_abort(struct net *net)
{
    struct list *node;

    if (!net_moves(net, NET_ABORTING))
        return;
    timer_disarm(net->config.timers, &net->drain_timer);
    listeners_close(net);
    for (node = net->conns.next; node != &net->conns; node = node->next)
        conn_close(conn_of(node), "abort");
    net_settle(net);
}

void net_destroy(struct net *net)
{
    if (!net)
        return;
    assert(net->state == NET_DRAINED);
    free(net->read_buffer);
    free(net);
}
