/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/lib/check.h"
#include "work/turns.h"

enum { MS = 1000 * 1000 };

/* Runs the ticket with the smallest turn: as the pool does. */
static size_t run_next(struct turns *turns, struct ticket *tickets, size_t count)
{
    size_t next = count;

    for (size_t i = 0; i < count; i++)
        if (tickets[i].flow && (next == count || tickets[i].turn < tickets[next].turn))
            next = i;
    CHECK(next < count);
    if (tickets[next].start > turns->now)
        turns->now = tickets[next].start;
    ticket_close(&tickets[next]);
    return next;
}

CASE(equal_work_in_order, "equal work of one flow or of many runs in the order it came")
{
    struct ticket tickets[20] = {{0}};
    struct flow flows[20] = {{0}};
    struct turns turns;

    for (int many = 0; many < 2; many++) {
        turns_init(&turns, 2);
        for (size_t i = 0; i < 20; i++)
            ticket_open(&tickets[i], &turns, many ? &flows[i] : NULL, MS);
        CHECK_EQ(turns.flows, many ? 20 : 1);
        for (size_t i = 0; i < 20; i++)
            CHECK_EQ(run_next(&turns, tickets, 20), i);
        CHECK(turns.backlog_ns == 0 && turns.flows == 0);
    }
}

CASE(cheap_passes_dear,
     "cheap work of one connection does not wait for its expensive work")
{
    struct flow cheap = {0}, dear = {0};
    struct ticket tickets[12] = {{0}};
    struct turns turns;

    turns_init(&turns, 2);
    for (size_t i = 0; i < 2; i++)
        ticket_open(&tickets[i], &turns, &dear, 500 * MS);
    for (size_t i = 2; i < 12; i++)
        ticket_open(&tickets[i], &turns, &cheap, MS);
    CHECK(turns_wait_ns(&turns, &cheap, MS) <= 11 * MS);
    CHECK(turns_wait_ns(&turns, &dear, MS) >= 500 * MS);
    for (size_t i = 2; i < 12; i++)
        CHECK_EQ(run_next(&turns, tickets, 12), i);
    CHECK_EQ(run_next(&turns, tickets, 12), 0);
    CHECK_EQ(run_next(&turns, tickets, 12), 1);
}

CASE(flows_share,
     "a flow with much work delays another by one ticket of its own, not by all")
{
    struct flow greedy = {0}, modest = {0};
    struct ticket tickets[110] = {{0}};
    struct turns turns;
    size_t place = 0;

    turns_init(&turns, 1);
    for (size_t i = 0; i < 100; i++)
        ticket_open(&tickets[i], &turns, &greedy, 10 * MS);
    for (int i = 0; i < 50; i++)
        run_next(&turns, tickets, 110);
    ticket_open(&tickets[100], &turns, &modest, 10 * MS);
    CHECK(turns_wait_ns(&turns, &modest, 10 * MS) <= 40 * MS);
    CHECK(turns_wait_ns(&turns, &greedy, 10 * MS) >= 500 * MS);
    while (run_next(&turns, tickets, 110) != 100)
        place++;
    CHECK(place <= 2);
    for (int i = 0; i < 48; i++)
        run_next(&turns, tickets, 110);
}

CASE(waiting_counts,
     "expensive work is not passed for ever by cheap work that comes later")
{
    struct flow dear = {0}, cheap = {0};
    struct ticket tickets[2] = {{0}};
    struct turns turns;
    int passed = 0;

    turns_init(&turns, 1);
    ticket_open(&tickets[0], &turns, &dear, 1000ull * 1000 * MS); /* a thousand seconds */
    do {
        ticket_open(&tickets[1], &turns, &cheap, 4 * MS);
        passed++;
    } while (run_next(&turns, tickets, 2) == 1 && passed < 100000);
    CHECK(passed > 100 && passed < 1000); /* about TURN_COST_NS_MAX of cheap work */
    ticket_close(&tickets[1]);
}

CASE(backlog_is_what_is_left,
     "the backlog is the work of the open tickets that is not done")
{
    struct flow flow = {0};
    struct ticket first = {0}, second = {0};
    struct turns turns;

    turns_init(&turns, 4);
    CHECK_EQ(turns_wait_ns(&turns, &flow, 8 * MS), 2 * MS);
    ticket_open(&first, &turns, &flow, 100 * MS);
    ticket_open(&second, &turns, &flow, 20 * MS);
    ticket_advance(&first, 60 * MS);
    CHECK_EQ(turns.backlog_ns, 60 * MS);
    CHECK_EQ(turns_wait_ns(&turns, &flow, 0), 15 * MS);
    ticket_advance(&first, 1000 * MS);
    CHECK_EQ(turns.backlog_ns, 20 * MS);
    ticket_close(&first);
    ticket_close(&first);
    ticket_advance(&first, MS);
    CHECK(flow.tickets == 1 && flow.backlog_ns == 20 * MS);
    ticket_close(&second);
    CHECK(flow.tickets == 0 && flow.backlog_ns == 0 && turns.flows == 0);
}

CASE(costs_are_learned,
     "the cost of a kind of work is learned, and doubted when it refuses")
{
    struct turns turns;

    turns_init(&turns, 1);
    CHECK(turns_cost_ns(&turns, 3, 1000) > 0);
    turns_learn(&turns, 3, 1000, 5000);
    CHECK_EQ(turns_cost_ns(&turns, 3, 2000), 10000);
    CHECK_EQ(turns_cost_ns(&turns, 4, 2000), 500); /* another kind */
    turns_learn(&turns, 3, 0, 1000);
    CHECK_EQ(turns_cost_ns(&turns, 3, 2000), 10000);
    for (int i = 0; i < 60; i++)
        turns_learn(&turns, 3, 1000, 50000);
    CHECK(turns_cost_ns(&turns, 3, 1000) > 49000);
    for (int i = 0; i < 10000; i++)
        turns_doubt(&turns, 3);
    CHECK(turns_cost_ns(&turns, 3, 1000) < 1000);
    CHECK_EQ(turns_cost_ns(&turns, 3, UINT64_MAX), (uint64_t)1e18);
}
