/* SPDX-License-Identifier: Apache-2.0 */
/* The whole of it: listeners, connections, and the end.
 *
 * Flushing. Output arises anywhere: while a socket is read, when a message from a
 * worker arrives, when a timer fires. conn_schedule_flush() notes the connection;
 * the check handle, which libuv runs once after polling, writes what all of them
 * have, so that many small results leave in one system call. While a connection is
 * noted, the idle handle is active, so that polling does not wait.
 *
 * The end. net_drain accepts what waits in the backlogs, closes the listeners and asks
 * every session to drain; one whose preface is still on its way does so when it comes. A
 * session says its second GOAWAY when the peer has answered its PING. Every
 * DRAIN_PING_MS those that have not, and that conn_is_awaited does not wait for, are
 * made to. Connections close as their last stream does. Calls that are left at
 * drain_ms_max get a status (net_config.cut). What is left DRAIN_CUT_MS later, or at
 * net_abort, is closed. Whenever a listener or connection has gone, net_close_if_idle
 * looks: with none left, the two handles are closed, and in the last close callback
 * `drained` is called. So it is never called from within net_drain or net_abort. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/number.h"
#include "net/activation.h"
#include "net/impl.h"
#include "obs/log.h"

enum {
    /* A round trip anywhere on earth, with margin. */
    DRAIN_PING_MS = 1000,
    /* For the last bytes of calls that the end of a drain cuts off. */
    DRAIN_CUT_MS = 500,
};

static struct conn *conn_of(struct list *node)
{
    return LIST_OWNER(node, struct conn, link);
}

/* A connection that is scheduled again meanwhile waits for the next turn. */
static void on_flush(uv_check_t *check)
{
    struct net *net = LIST_OWNER(check, struct net, flush);
    struct list now;
    struct list *node;

    list_init(&now);
    while ((node = list_pop(&net->to_flush)))
        list_push(&now, node);
    while ((node = list_pop(&now)))
        conn_flush(LIST_OWNER(node, struct conn, flush_link));
    if (list_empty(&net->to_flush))
        uv_idle_stop(&net->keep_polling);
}

/* Calls that have not ended get a status, and a moment to reach their clients. */
static void cut(struct net *net)
{
    log_event(net->config.log, LOG_WARN, "drain_timeout",
              LOG_FIELDS(LOG_U64("connections", net->conn_count)));
    net->cut = true;
    if (net->config.cut)
        net->config.cut(net->config.events_owner);
    for (struct list *node = net->conns.next; node != &net->conns; node = node->next)
        conn_drain_finish(conn_of(node));
    timer_arm(net->config.timers, &net->drain_timer, after_ms(DRAIN_CUT_MS));
}

static void on_drain_timer(struct timer *timer)
{
    struct net *net = LIST_OWNER(timer, struct net, drain_timer);
    const uint64_t now = clock_monotonic_ns();
    struct list *node;

    if (now >= net->drain_until_ns) {
        if (net->cut)
            net_abort(net);
        else
            cut(net);
        return;
    }
    for (node = net->conns.next; node != &net->conns; node = node->next)
        if (!conn_is_awaited(conn_of(node), now))
            conn_drain_finish(conn_of(node));
    timer_arm(net->config.timers, &net->drain_timer,
              u64_min(net->drain_until_ns, after_ms(DRAIN_PING_MS)));
}

int net_create(struct net **out, const struct net_config *config, struct failure *failure)
{
    struct net *net = calloc(1, sizeof(*net));

    if (!net)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    net->config = *config;
    net->read_buffer = malloc(READ_BYTES);
    net->cipher.bytes = config->tls ? malloc(CIPHER_BYTES) : NULL;
    net->cipher.size = CIPHER_BYTES;
    if (!net->read_buffer || (config->tls && !net->cipher.bytes) || net_join(net) < 0) {
        free(net->cipher.bytes);
        free(net->read_buffer);
        free(net);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    net->state = NET_SERVING;
    net->jitter = clock_monotonic_ns();
    list_init(&net->listeners);
    list_init(&net->conns);
    list_init(&net->to_flush);
    list_init(&net->memory_conns);
    net->conns_gone = memory_conns_close;
    timer_init(&net->drain_timer, on_drain_timer);
    uv_check_init(config->loop, &net->flush);
    uv_check_start(&net->flush, on_flush);
    uv_idle_init(config->loop, &net->keep_polling);
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

unsigned net_systemd_sockets(void)
{
    return activation_count();
}

bool net_address_has_form(const char *address)
{
    return strcmp(address, LISTEN_SYSTEMD) == 0 || address_has_form(address);
}

bool net_address_is_local(const char *address)
{
    if (strcmp(address, LISTEN_SYSTEMD) == 0)
        return activation_is_local();
    return address_is_local(address);
}

void net_drain(struct net *net, void (*drained)(void *arg), void *arg)
{
    const uint64_t drain_ms = net->config.limits->drain_ms_max;
    struct list *node;

    net->drained = drained;
    net->drained_arg = arg;
    if (!state_try(&net_states, &net->state, NET_DRAINING))
        return;
    net->drain_from_ns = clock_monotonic_ns();
    net->drain_until_ns = after_ms(drain_ms);
    timer_arm(net->config.timers, &net->drain_timer,
              after_ms(u64_min(drain_ms, DRAIN_PING_MS)));
    listeners_close(net);
    for (node = net->conns.next; node != &net->conns; node = node->next)
        conn_drain(conn_of(node));
    net_close_if_idle(net);
}

void net_others_drained(struct net *net)
{
    net->others = false;
    net_close_if_idle(net);
}

void net_abort(struct net *net)
{
    struct list *node;

    if (!state_try(&net_states, &net->state, NET_ABORTING))
        return;
    timer_disarm(net->config.timers, &net->drain_timer);
    listeners_close(net);
    for (node = net->conns.next; node != &net->conns; node = node->next)
        conn_close(conn_of(node), "abort");
    net_close_if_idle(net);
}

void net_destroy(struct net *net)
{
    if (!net)
        return;
    assert(net->state == NET_DRAINED);
    net_leave(net);
    free(net->cipher.bytes);
    free(net->read_buffer);
    free(net);
}
