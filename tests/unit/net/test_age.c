/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "net/impl.h"
#include "tests/lib/check.h"
#include "tests/lib/loop.h"
#include "tests/lib/net_bench.h"

/* ---- helpers ---- */

static bool all_connected(void *arg)
{
    struct inbox *inbox = arg;

    return metric_get(inbox->bench->metrics, M_CONNECTIONS) == inbox->wanted;
}

static bool call_closed(void *arg)
{
    return ((struct bench *)arg)->closed == 1;
}

/* ---- cases ---- */

CASE(asked_to_end,
     "a connection of its age gets GOAWAY, PING, GOAWAY, and ends after its last call")
{
    struct limits limits = limits_default();
    struct inbox inbox;
    struct bench *bench;
    uint8_t ack[PING_BYTES];

    limits.connection_age_ms = 20;
    bench = bench_create_holding(&limits, &inbox);
    loop_run_until(bench->loop, inbox_has_goaway, &inbox);
    CHECK_EQ(inbox_frames(&inbox, 6, 0), 1);
    inbox_answer_ping(&inbox, ack);
    loop_run_until(bench->loop, inbox_has_two_goaways, &inbox);
    CHECK_EQ(metric_get(bench->metrics, M_CONNECTIONS_AGED), 1);
    CHECK_EQ(bench->closed, 0);
    bench_answer(bench, bench->held[0]);
    loop_run_until(bench->loop, inbox_is_over, &inbox);
    CHECK_EQ(inbox_frames(&inbox, 1, 1), 1); /* the answer */
    bench_check_refusals(bench, "connection_age_grace_ms", 0);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

CASE(grace, "a call that runs on after the grace ends with its connection")
{
    struct limits limits = limits_default();
    struct inbox inbox;
    struct bench *bench;

    limits.connection_age_ms = limits.connection_age_grace_ms = 20;
    bench = bench_create_holding(&limits, &inbox); /* the request is never answered */
    loop_run_until(bench->loop, inbox_is_over, &inbox);
    CHECK_EQ(inbox_frames(&inbox, 7, 0),
             2); /* the second came without an answer to PING */
    loop_run_until(bench->loop, call_closed, bench);
    bench_check_refusals(bench, "connection_age_grace_ms", 1);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

CASE(spread, "the ages of connections that began together lie within a tenth, and differ")
{
    enum { CLIENTS = 16, AGE_S = 1000 };
    const uint64_t begin = clock_monotonic_ns(), second = 1000000000;
    struct limits limits = limits_default();
    uint64_t first = UINT64_MAX, last = 0;
    struct bench *bench;
    struct inbox inbox;
    int fds[CLIENTS];

    limits.connection_age_ms = AGE_S * 1000;
    bench = bench_create(&limits);
    bench_listen(bench, "127.0.0.1:0");
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = client_connect(bench);
    inbox = (struct inbox){.bench = bench, .wanted = CLIENTS};
    loop_run_until(bench->loop, all_connected, &inbox);
    for (struct list *node = bench->net->conns.next; node != &bench->net->conns;
         node = node->next) {
        const uint64_t due = LIST_OWNER(node, struct conn, link)->aging.due_ns;

        first = due < first ? due : first;
        last = due > last ? due : last;
    }
    CHECK(first >= begin + AGE_S / 10 * 9 * second);
    CHECK(last <= clock_monotonic_ns() + AGE_S / 10 * 11 * second);
    CHECK(last - first > AGE_S / 100 * second);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    bench_destroy(bench);
}
