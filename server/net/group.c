/* SPDX-License-Identifier: Apache-2.0 */
/* Which net serves an accepted socket. One net of a group listens: it gives the socket to the
 * net that has the fewest connections, by a message to its loop. So a few long connections
 * are spread evenly, which SO_REUSEPORT's hash of addresses does not do, the bound of
 * connections is exact, and no second daemon can bind the same port.
 *
 * At connections_max each net is asked in turn, beginning with the one that listens, whether
 * one of its connections can give way; the first that has one serves the socket.
 *
 * A drain begins at the net that listens. It gives away what its backlogs hold before the
 * others learn of the drain, and messages to a loop arrive in order. */
#include <stdlib.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/limits.h"
#include "base/number.h"
#include "net/impl.h"
#include "obs/log.h"
#include "obs/metrics.h"

enum { YIELDS_PER_SHORTAGE = 16 }; /* connections of a net that give way */

/* A socket on its way to another net. */
struct arrival {
    struct mailbox_message message;
    struct net *net;
    int fd;
    struct address peer;
    unsigned asked; /* nets that could not make room; 0: there is room */
};

/* ---- members ------------------------------------------------------------------------ */

struct net_group *net_group_create(unsigned nets, struct budget *budget)
{
    struct net_group *group =
        calloc(1, sizeof(*group) + nets * sizeof(group->members[0]));

    if (!group)
        return NULL;
    group->count = nets;
    origins_init(&group->origins, budget);
    return group;
}

void net_group_destroy(struct net_group *group)
{
    if (group)
        origins_fini(&group->origins);
    free(group);
}

static void make_room(struct net *net)
{
    for (int i = 0; i < YIELDS_PER_SHORTAGE && net_make_room(net, NULL); i++)
        continue;
}

static void deliver_shortage(struct mailbox_message *message)
{
    struct member *member = LIST_OWNER(message, struct member, shortage);

    atomic_store(&member->short_told, false);
    make_room(member->net);
}

int net_join(struct net *net)
{
    struct net_group *group = net->config.group;

    if (!group) {
        group = net_group_create(1, net->config.budget);
        if (!group)
            return -1;
        net->owns_group = true;
    }
    net->group = group;
    net->origins = &group->origins;
    net->others = group->joined == 0 && group->count > 1;
    net->member = &group->members[group->joined++];
    net->member->net = net;
    net->member->mailbox = net->config.mailbox;
    net->member->shortage.deliver = deliver_shortage;
    return 0;
}

void net_leave(struct net *net)
{
    if (net->owns_group)
        net_group_destroy(net->group);
}

size_t net_group_connections(const struct net_group *group)
{
    size_t count = 0;

    for (unsigned i = 0; i < group->joined; i++) {
        const struct member *member = &group->members[i];

        count += member->connections + member->arriving - member->yielding;
    }
    return count;
}

void net_give_way(struct net *net)
{
    struct net_group *group = net->group;

    make_room(net);
    for (unsigned i = 0; i < group->joined; i++) {
        struct member *member = &group->members[i];

        if (member->net != net && !atomic_exchange(&member->short_told, true))
            mailbox_post(member->mailbox, &member->shortage);
    }
}

/* ---- admission ---------------------------------------------------------------------- */

static void reject(struct net *net, int fd)
{
    close(fd);
    metric_limit(net->config.metrics, L_CONNECTIONS);
    log_event(
        net->config.log, LOG_WARN, "conn_refused",
        LOG_FIELDS(LOG_U64("connections_max", net->config.limits->connections_max)));
}

/* The limit, or as many as a quarter of the memory budget holds while they are idle. */
static size_t connections_max(const struct net *net)
{
    const struct budget *budget = net->config.budget;
    const uint64_t affordable =
        budget ? budget->bytes_max / CONN_BUDGET_DIVISOR / CONN_BYTES : UINT64_MAX;

    return (size_t)u64_min(net->config.limits->connections_max, affordable);
}

static void open_here(struct net *net, int fd, const struct address *peer)
{
    struct failure failure = {0};

    if (conn_open(net, fd, peer, &failure) < 0)
        log_event(net->config.log, LOG_WARN, "conn_failed",
                  LOG_FIELDS(LOG_STR("error", failure.message)));
}

/* Nets take turns at being looked at first, so that equal ones do. */
static struct member *fewest(struct net_group *group)
{
    struct member *best = NULL;
    size_t best_load = 0;

    for (unsigned i = 0; i < group->joined; i++) {
        struct member *member = &group->members[(group->next + i) % group->joined];
        const size_t load = member->connections + member->arriving;

        if (!best || load < best_load) {
            best = member;
            best_load = load;
        }
    }
    group->next = (group->next + 1) % group->joined;
    return best;
}

static void deliver_arrival(struct mailbox_message *message);

static void give(struct member *to, struct arrival *arrival)
{
    arrival->net = to->net;
    arrival->message.deliver = deliver_arrival;
    to->arriving++;
    mailbox_post(to->mailbox, &arrival->message);
}

static void give_new(struct net *net, struct member *to, int fd,
                     const struct address *peer, unsigned asked)
{
    struct arrival *arrival = malloc(sizeof(*arrival));

    if (!arrival) {
        close(fd);
        metric_limit(net->config.metrics, L_MEMORY);
        log_event(net->config.log, LOG_WARN, "conn_failed",
                  LOG_FIELDS(LOG_STR("error", "out of memory")));
        return;
    }
    *arrival = (struct arrival){.fd = fd, .peer = *peer, .asked = asked};
    give(to, arrival);
}

/* The member that is asked after `asked` others. */
static struct member *asked_next(struct net_group *group, unsigned asked)
{
    return asked < group->joined ? &group->members[asked] : NULL;
}

/* False: the socket was given to the next net, or closed. */
static bool find_room(struct net *net, struct arrival *arrival)
{
    struct member *next;

    if (arrival->asked == 0 || net_make_room(net, &arrival->peer))
        return true;
    next = asked_next(net->group, ++arrival->asked);
    if (next) {
        give(next, arrival);
        return false;
    }
    reject(net, arrival->fd);
    free(arrival);
    return false;
}

static void deliver_arrival(struct mailbox_message *message)
{
    struct arrival *arrival = LIST_OWNER(message, struct arrival, message);
    struct net *net = arrival->net;

    net->member->arriving--;
    if (net->state != NET_SERVING && net->state != NET_DRAINING) {
        close(arrival->fd); /* it was aborted, or asked for room during the drain */
        free(arrival);
        return;
    }
    if (!find_room(net, arrival))
        return;
    open_here(net, arrival->fd, &arrival->peer);
    free(arrival);
}

void net_admit(struct net *net, int fd, const struct address *peer)
{
    struct net_group *group = net->group;
    const bool full = net_group_connections(group) >= connections_max(net);
    struct member *member = net->member;

    if (full && !net_make_room(net, peer)) {
        member = asked_next(group, 1);
        if (member)
            give_new(net, member, fd, peer, 1);
        else
            reject(net, fd);
        return;
    }
    if (group->joined > 1)
        member = fewest(group);
    if (member == net->member)
        open_here(net, fd, peer);
    else
        give_new(net, member, fd, peer, 0);
}
