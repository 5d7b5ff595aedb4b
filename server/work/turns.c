/* SPDX-License-Identifier: Apache-2.0 */
#include "work/turns.h"

#include <assert.h>

#include "base/number.h"

/* A guess for the first work of a kind; the second has a measured figure. */
static const double ns_per_unit_first = 0.25;
/* The share of the newest measurement in the pace. */
static const double pace_weight = 0.125;
/* What is left of a pace when work is refused for it. */
static const double pace_doubted = 0.9995;

void turns_init(struct turns *turns, unsigned threads)
{
    *turns = (struct turns){.threads = threads};
}

uint64_t turns_wait_ns(const struct turns *turns, const struct flow *flow,
                       uint64_t cost_ns)
{
    uint64_t flows, own;

    if (!flow)
        flow = &turns->flow;
    flows = turns->flows + (flow->tickets == 0);
    if (__builtin_mul_overflow(flow->backlog_ns + cost_ns, flows, &own))
        own = UINT64_MAX;
    return u64_min(own, turns->backlog_ns + cost_ns) / turns->threads;
}

void ticket_open(struct ticket *ticket, struct turns *turns, struct flow *flow,
                 uint64_t cost_ns)
{
    const uint64_t now = atomic_load_explicit(&turns->now, memory_order_relaxed);

    assert(!ticket->flow);
    ticket->turns = turns;
    ticket->flow = flow ? flow : &turns->flow;
    flow = ticket->flow;
    ticket->start = flow->turn > now ? flow->turn : now;
    ticket->turn = ticket->start + u64_min(cost_ns, TURN_COST_NS_MAX);
    ticket->left_ns = cost_ns;
    flow->turn = ticket->turn;
    flow->backlog_ns += cost_ns;
    turns->backlog_ns += cost_ns;
    if (flow->tickets++ == 0)
        turns->flows++;
}

void ticket_advance(struct ticket *ticket, uint64_t ns)
{
    if (!ticket->flow)
        return;
    ns = u64_min(ns, ticket->left_ns);
    ticket->left_ns -= ns;
    ticket->flow->backlog_ns -= ns;
    ticket->turns->backlog_ns -= ns;
}

void ticket_close(struct ticket *ticket)
{
    if (!ticket->flow)
        return;
    ticket_advance(ticket, ticket->left_ns);
    if (--ticket->flow->tickets == 0)
        ticket->turns->flows--;
    ticket->flow = NULL;
}

uint64_t turns_cost_ns(const struct turns *turns, size_t kind, uint64_t units)
{
    const struct pace *pace = &turns->paces[kind % TURN_KINDS_MAX];
    double ns =
        (double)units * (pace->ns_per_unit > 0 ? pace->ns_per_unit : ns_per_unit_first);

    return ns < 1e18 ? (uint64_t)ns : (uint64_t)1e18;
}

void turns_learn(struct turns *turns, size_t kind, uint64_t units, uint64_t ns)
{
    struct pace *pace = &turns->paces[kind % TURN_KINDS_MAX];
    double measured;

    if (units == 0)
        return;
    measured = (double)ns / (double)units;
    pace->ns_per_unit =
        pace->ns_per_unit > 0
            ? pace->ns_per_unit + pace_weight * (measured - pace->ns_per_unit)
            : measured;
}

void turns_doubt(struct turns *turns, size_t kind)
{
    turns->paces[kind % TURN_KINDS_MAX].ns_per_unit *= pace_doubted;
}
