/* SPDX-License-Identifier: Apache-2.0 */
#include "work/turns.h"

#include <assert.h>
#include <string.h>

#include "base/number.h"

/* A guess for the first work of a kind; the second has a measured figure. */
static const double ns_per_unit_first = 0.25;
/* The share of the newest measurement in the pace. */
static const double pace_weight = 0.125;
/* What is left of a pace when work is refused for it. */
static const double pace_doubted = 0.9995;

void turns_init(struct turns *turns, unsigned threads)
{
    memset(turns, 0, sizeof(*turns));
    turns->threads = threads;
}

/* No value orders accesses to other memory, so relaxed order is enough. */

static uint64_t value_of(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void add(_Atomic uint64_t *value, uint64_t amount)
{
    atomic_fetch_add_explicit(value, amount, memory_order_relaxed);
}

static double pace_of(const struct turns *turns, size_t kind)
{
    return atomic_load_explicit(&turns->paces[kind % TURN_KINDS_MAX].ns_per_unit,
                                memory_order_relaxed);
}

static void set_pace(struct turns *turns, size_t kind, double ns_per_unit)
{
    atomic_store_explicit(&turns->paces[kind % TURN_KINDS_MAX].ns_per_unit, ns_per_unit,
                          memory_order_relaxed);
}

uint64_t turns_wait_ns(const struct turns *turns, const struct flow *flow,
                       uint64_t cost_ns)
{
    uint64_t flows, own;

    if (!flow)
        flow = &turns->flow;
    flows = value_of(&turns->flows) + (flow->tickets == 0);
    if (__builtin_mul_overflow(flow->backlog_ns + cost_ns, flows, &own))
        own = UINT64_MAX;
    return u64_min(own, value_of(&turns->backlog_ns) + cost_ns) / turns->threads;
}

void ticket_open(struct ticket *ticket, struct turns *turns, struct flow *flow,
                 uint64_t cost_ns)
{
    const uint64_t now = value_of(&turns->now);

    assert(!ticket->flow);
    ticket->turns = turns;
    ticket->flow = flow ? flow : &turns->flow;
    flow = ticket->flow;
    ticket->start = flow->turn > now ? flow->turn : now;
    ticket->turn = ticket->start + u64_min(cost_ns, TURN_COST_NS_MAX);
    ticket->left_ns = cost_ns;
    flow->turn = ticket->turn;
    flow->backlog_ns += cost_ns;
    add(&turns->backlog_ns, cost_ns);
    if (flow->tickets++ == 0)
        add(&turns->flows, 1);
}

void ticket_advance(struct ticket *ticket, uint64_t ns)
{
    if (!ticket->flow)
        return;
    ns = u64_min(ns, ticket->left_ns);
    ticket->left_ns -= ns;
    ticket->flow->backlog_ns -= ns;
    add(&ticket->turns->backlog_ns, -ns);
}

void ticket_close(struct ticket *ticket)
{
    if (!ticket->flow)
        return;
    ticket_advance(ticket, ticket->left_ns);
    if (--ticket->flow->tickets == 0)
        add(&ticket->turns->flows, (uint64_t)-1);
    ticket->flow = NULL;
}

uint64_t turns_cost_ns(const struct turns *turns, size_t kind, uint64_t units)
{
    const double pace = pace_of(turns, kind);
    const double ns = (double)units * (pace > 0 ? pace : ns_per_unit_first);

    return ns < 1e18 ? (uint64_t)ns : (uint64_t)1e18;
}

void turns_learn(struct turns *turns, size_t kind, uint64_t units, uint64_t ns)
{
    const double pace = pace_of(turns, kind);
    double measured;

    if (units == 0)
        return;
    measured = (double)ns / (double)units;
    set_pace(turns, kind, pace > 0 ? pace + pace_weight * (measured - pace) : measured);
}

void turns_doubt(struct turns *turns, size_t kind)
{
    set_pace(turns, kind, pace_of(turns, kind) * pace_doubted);
}
