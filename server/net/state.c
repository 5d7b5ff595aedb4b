/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a net and of its connections, and what every other file of this
 * module needs of them: a connection schedules its output, a listener or connection
 * that is gone lets the net close. */
#include "net/impl.h"

static const struct state_row net_rows[NET_STATES] = {
    [NET_SERVING] = {"serving", STATE_TO(NET_DRAINING) | STATE_TO(NET_ABORTING)},
    [NET_DRAINING] = {"draining", STATE_TO(NET_ABORTING) | STATE_TO(NET_CLOSING)},
    [NET_ABORTING] = {"aborting", STATE_TO(NET_CLOSING)},
    [NET_CLOSING] = {"closing", STATE_TO(NET_DRAINED)},
    [NET_DRAINED] = {"drained", 0},
};
const struct states net_states = STATES("net", net_rows);

static const struct state_row conn_rows[CONN_STATES] = {
    [CONN_SECURING] = {"securing", STATE_TO(CONN_GREETING) | STATE_TO(CONN_CLOSING)},
    [CONN_GREETING] = {"greeting", STATE_TO(CONN_OPEN) | STATE_TO(CONN_FINISHING) |
                                       STATE_TO(CONN_CLOSING)},
    [CONN_OPEN] = {"open", STATE_TO(CONN_FINISHING) | STATE_TO(CONN_LINGERING) |
                               STATE_TO(CONN_CLOSING)},
    [CONN_FINISHING] = {"finishing", STATE_TO(CONN_CLOSING)},
    [CONN_LINGERING] = {"lingering", STATE_TO(CONN_CLOSING)},
    [CONN_CLOSING] = {"closing", 0},
};
const struct states conn_states = STATES("connection", conn_rows);

static void on_keep_polling(uv_idle_t *idle)
{
    (void)idle; /* does nothing: an active idle handle keeps polling from waiting */
}

void conn_schedule_flush(struct conn *conn)
{
    struct net *net = conn->net;

    if (!list_empty(&conn->flush_link))
        return;
    list_push(&net->to_flush, &conn->flush_link);
    uv_idle_start(&net->keep_polling, on_keep_polling);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct net *net = handle->data;

    if (--net->handles > 0)
        return;
    state_move(&net_states, &net->state, NET_DRAINED);
    if (net->drained)
        net->drained(net->drained_arg);
}

static void close_handle(struct net *net, uv_handle_t *handle)
{
    handle->data = net;
    uv_close(handle, on_handle_closed);
}

void net_close_if_idle(struct net *net)
{
    if (!list_empty(&net->listeners) || !list_empty(&net->conns))
        return;
    if (net->state != NET_SERVING && !net->others)
        net->conns_gone(net); /* not earlier: calls may name buffers of these */
    if (!list_empty(&net->memory_conns))
        return; /* also those that other nets may need */
    if (!state_try(&net_states, &net->state, NET_CLOSING))
        return; /* still serving, without a connection; or closing already */
    timer_disarm(net->config.timers, &net->drain_timer);
    close_handle(net, (uv_handle_t *)&net->flush);
    close_handle(net, (uv_handle_t *)&net->keep_polling);
}
