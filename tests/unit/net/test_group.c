/* SPDX-License-Identifier: Apache-2.0 */
/* Two nets that share the sockets which one of them accepts. Both are on one loop here:
 * what goes from one to the other is a message all the same. */
#include "base/limits.h"
#include "tests/lib/check.h"
#include "tests/lib/loop.h"
#include "tests/lib/net_bench.h"

enum { CLIENTS = 4 };

static struct bench *first, *other;
static struct inbox inboxes[CLIENTS];

static void open_group(size_t connections_max)
{
    struct limits limits = limits_default();

    limits.connections_max = (uint32_t)connections_max;
    first = bench_create_group(&limits);
    other = bench_create_other(first);
    bench_listen(first, "127.0.0.1:0");
}

static void close_group(void)
{
    bench_destroy(other);
    bench_destroy(first);
}

static void connect_client(size_t i)
{
    inbox_init(&inboxes[i], first, client_connect(first));
    client_send_preface(inboxes[i].fd);
}

static bool all_are_held(void *arg)
{
    return first->held_count + other->held_count == *(size_t *)arg;
}

/* Connects a client with a request that is not answered, as the nth. Returns its net. */
static struct bench *hold_client(size_t i, size_t nth)
{
    const size_t held = first->held_count;

    first->hold = other->hold = true;
    connect_client(i);
    client_request(inboxes[i].fd, 1);
    loop_run_until(first->loop, all_are_held, &nth);
    return first->held_count > held ? first : other;
}

static bool stream_is_closed(void *arg)
{
    return ((struct bench *)arg)->closed > 0;
}

CASE(spread, "each net of a group serves as many connections as the other")
{
    open_group(100);
    for (size_t i = 0; i < CLIENTS; i++)
        hold_client(i, i + 1);
    CHECK_EQ(first->held_count, CLIENTS / 2);
    CHECK_EQ(other->held_count, CLIENTS / 2);
    CHECK_EQ(metric_get(first->metrics, M_CONNECTIONS), CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++)
        inbox_fini(&inboxes[i]);
    close_group();
}

CASE(fewest, "a connection goes to the net that has fewer, whichever is next in turn")
{
    for (size_t turn = 0; turn < 2; turn++) { /* the client of which net leaves */
        struct bench *one, *two, *left;

        open_group(100);
        one = hold_client(0, 1);
        two = hold_client(1, 2);
        CHECK(one != two);
        left = turn ? two : one;
        inbox_fini(&inboxes[turn]);
        loop_run_until(first->loop, stream_is_closed, left);
        CHECK(hold_client(turn, 3) == left);
        inbox_fini(&inboxes[0]);
        inbox_fini(&inboxes[1]);
        close_group();
    }
}

CASE(one_bound, "connections_max bounds the connections of all nets together")
{
    open_group(2);
    CHECK(hold_client(0, 1) != hold_client(1, 2));
    connect_client(2);
    loop_run_until(first->loop, inbox_is_over, &inboxes[2]);
    bench_check_refusals(first, "connections", 1);
    CHECK_EQ(metric_get(first->metrics, M_CONNECTIONS), 2);
    for (size_t i = 0; i < 3; i++)
        inbox_fini(&inboxes[i]);
    close_group();
}

CASE(gives_way, "at the bound an idle connection of any net gives way to a new one")
{
    size_t idle;

    open_group(2);
    idle = hold_client(0, 1) == other ? 0 : 1;
    CHECK(hold_client(1, 2) == (idle ? other : first));
    bench_answer(other, other->held[0]);
    loop_run_until(first->loop, inbox_has_trailers, &inboxes[idle]);
    CHECK(hold_client(2, 3) == other);
    loop_run_until(first->loop, inbox_is_over, &inboxes[idle]);
    CHECK_EQ(inbox_frames(&inboxes[!idle], 7, 0), 0); /* the busy one stays */
    CHECK_EQ(metric_get(first->metrics, M_CONNECTIONS_YIELDED), 1);
    bench_check_refusals(first, "connections", 0);
    for (size_t i = 0; i < 3; i++)
        inbox_fini(&inboxes[i]);
    close_group();
}

static bool one_is_over(void *arg)
{
    (void)arg;
    return inbox_is_over(&inboxes[0]) || inbox_is_over(&inboxes[1]);
}

CASE(arrives_late, "a socket that reaches a net which has ended is closed")
{
    open_group(100);
    net_drain(other->net, bench_on_drained, other);
    loop_run_until(first->loop, bench_is_drained, other);
    for (size_t i = 0; i < 2; i++) /* one for each, in turn */
        inbox_init(&inboxes[i], first, client_connect(first));
    loop_run_until(first->loop, one_is_over, NULL);
    CHECK_EQ(other->requests, 0);
    inbox_fini(&inboxes[0]);
    inbox_fini(&inboxes[1]);
    close_group();
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
