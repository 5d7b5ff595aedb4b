/* SPDX-License-Identifier: Apache-2.0 */
/* Whose work runs next, and how long new work would wait. Work is admitted as *tickets*:
 * all jobs of a ticket have its turn, and the pool runs the smallest turn first.
 *
 * Tickets belong to *flows*: a connection's cheap work is one flow and its expensive work is
 * another. The turn is the time at which the ticket would be finished if the flows shared
 * the workers equally (start-time fair queueing). So a flow with much work does not delay
 * the others, cheap work passes expensive work, and what has waited long comes before what is
 * new. A flow and its tickets belong to one loop's thread. What the flows of several loops
 * share is atomic: the backlog, exactly, and the paces, of which one measurement may be lost
 * when two loops learn together. The pool tells `now`. */
#ifndef WORK_TURNS_H
#define WORK_TURNS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/flow.h"

enum {
    /* Work up to this cost is cheap: its flow of the connection is another. */
    TURN_CHEAP_NS = 5 * 1000 * 1000,
    /* Dear work waits no longer than this much work of every other flow. */
    TURN_COST_NS_MAX = 1000 * 1000 * 1000,
    TURN_KINDS_MAX = 64,
};

/* How long a unit of one kind of work takes. The owner of the kind chooses its unit. */
struct pace {
    _Atomic double ns_per_unit; /* 0: nothing is known yet */
};

struct turns {
    _Atomic uint64_t now;        /* the largest start of a ticket that has run */
    _Atomic uint64_t backlog_ns; /* work of all tickets that is not done */
    _Atomic uint64_t flows;      /* with tickets */
    unsigned threads;
    struct flow flow; /* of work without a connection: that of one loop alone */
    struct pace paces[TURN_KINDS_MAX];
};

struct ticket {
    struct turns *turns;
    struct flow *flow; /* NULL: it is not open */
    uint64_t turn, start;
    uint64_t left_ns; /* its share of the backlog */
};

void turns_init(struct turns *turns, unsigned threads);

/* How long work of `cost_ns` in this flow (NULL: of no connection) would take from now
 * until it is done. An estimate: the smaller of the whole backlog and of the flow's own
 * with its share of the workers. */
uint64_t turns_wait_ns(const struct turns *turns, const struct flow *flow,
                       uint64_t cost_ns);

/* Adds a ticket to the backlog. */
void ticket_open(struct ticket *ticket, struct turns *turns, struct flow *flow,
                 uint64_t cost_ns);

/* A part of the ticket's work is done. */
void ticket_advance(struct ticket *ticket, uint64_t ns);

/* Removes it. Harmless on a ticket that is not open. */
void ticket_close(struct ticket *ticket);

/* What work of a kind costs, by what it has cost so far. */
uint64_t turns_cost_ns(const struct turns *turns, size_t kind, uint64_t units);

/* `units` of a kind of work took `ns` of worker time. */
void turns_learn(struct turns *turns, size_t kind, uint64_t units, uint64_t ns);

/* Work of the kind was refused for its cost: lowers the estimate a little, so that one bad
 * measurement cannot lock the kind out for ever. */
void turns_doubt(struct turns *turns, size_t kind);

#endif
