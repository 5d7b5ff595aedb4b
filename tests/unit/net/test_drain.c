/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "tests/lib/check.h"
#include "tests/lib/loop.h"
#include "tests/lib/net_bench.h"

/* ---- cases ---- */

CASE(drains_idle, "an idle net drains")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_create(&limits);

    bench_listen(bench, "127.0.0.1:0");
    net_drain(bench->net, bench_on_drained, bench);
    CHECK(!bench->drained); /* never from within */
    loop_run_until(bench->loop, bench_is_drained, bench);
    bench_destroy(bench);
}

CASE(drains_nothing, "a net that never listened drains")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_create(&limits);

    net_drain(bench->net, bench_on_drained, bench);
    CHECK(!bench->drained);
    loop_run_until(bench->loop, bench_is_drained, bench);
    bench_destroy(bench);
}

CASE(drains_busy,
     "a busy net sends GOAWAY, PING, GOAWAY, and ends when its calls have ended "
     "and its peers close")
{
    const struct limits limits = limits_default();
    struct inbox inbox;
    struct bench *bench = bench_create_holding(&limits, &inbox);
    uint8_t ack[PING_BYTES];

    net_drain(bench->net, bench_on_drained, bench);
    loop_run_until(bench->loop, inbox_has_goaway, &inbox);
    CHECK_EQ(inbox_frames(&inbox, 7, 0), 1);
    CHECK_EQ(inbox_frames(&inbox, 6, 0), 1);
    inbox_answer_ping(&inbox, ack);
    loop_run_until(bench->loop, inbox_has_two_goaways, &inbox);
    CHECK(!bench->drained);
    bench_answer(bench, bench->held[0]);
    loop_run_until(bench->loop, inbox_is_over, &inbox);
    CHECK_EQ(inbox_frames(&inbox, 1, 1), 1);
    /* What the peer sends now must not reset the connection. */
    for (int turn = 0; turn < 3; turn++) {
        CHECK_EQ(send(inbox.fd, ack, sizeof(ack), MSG_NOSIGNAL), sizeof(ack));
        uv_run(bench->loop, UV_RUN_NOWAIT);
    }
    CHECK(!bench->drained);
    shutdown(inbox.fd, SHUT_WR);
    loop_run_until(bench->loop, bench_is_drained, bench);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

CASE(accepts_no_more, "a draining net accepts no connections")
{
    const struct limits limits = limits_default();
    struct inbox inbox;
    struct bench *bench = bench_create_holding(&limits, &inbox);
    struct sockaddr_in in = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    net_drain(bench->net, bench_on_drained, bench);
    in.sin_port = htons((uint16_t)atoi(strrchr(bench->bound, ':') + 1));
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(connect(fd, (struct sockaddr *)&in, sizeof(in)), -1);
    CHECK_EQ(errno, ECONNREFUSED);
    close(fd);
    inbox_fini(&inbox);
    loop_run_until(bench->loop, bench_is_drained, bench); /* its peer left */
    bench_destroy(bench);
}

CASE(drains_before_the_preface,
     "a connection without a preface is closed when the others get their second GOAWAY")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_create(&limits);
    struct inbox inbox;

    bench_listen(bench, "127.0.0.1:0");
    inbox_init(&inbox, bench, client_connect(bench));
    for (int turn = 0; turn < 10; turn++)
        uv_run(bench->loop, UV_RUN_NOWAIT);
    CHECK_EQ(metric_get(bench->metrics, M_CONNECTIONS), 1);
    net_drain(bench->net, bench_on_drained, bench);
    loop_run_until(bench->loop, inbox_is_over, &inbox);
    loop_run_until(bench->loop, bench_is_drained, bench);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

CASE(waits_for_calls,
     "a peer with a call has longer for the answer to its PING than one that made none")
{
    struct limits limits = limits_default();
    struct inbox busy, unused;
    struct bench *bench;
    uint8_t ack[PING_BYTES];

    limits.drain_ms_max = 3600 * 1000;
    bench = bench_create_holding(&limits, &busy);
    inbox_init(&unused, bench, client_connect(bench));
    client_send_preface(unused.fd);
    while (metric_get(bench->metrics, M_CONNECTIONS) < 2)
        uv_run(bench->loop, UV_RUN_ONCE);
    net_drain(bench->net, bench_on_drained, bench);
    loop_run_until(bench->loop, inbox_is_over, &unused);
    inbox_read(&busy);
    CHECK_EQ(inbox_frames(&busy, 7, 0), 1);
    client_request(busy.fd, 3); /* before it has read the GOAWAY */
    inbox_answer_ping(&busy, ack);
    loop_run_until(bench->loop, inbox_has_two_goaways, &busy);
    CHECK_EQ(bench->requests, 2);
    bench_answer(bench, bench->held[0]);
    bench_answer(bench, bench->held[1]);
    loop_run_until(bench->loop, inbox_is_over, &busy);
    CHECK_EQ(inbox_frames(&busy, 1, 1), 2);
    CHECK(!bench->drained);
    inbox_fini(&busy);
    inbox_fini(&unused);
    loop_run_until(bench->loop, bench_is_drained, bench);
    bench_destroy(bench);
}

CASE(
    waits_between_calls,
    "a peer that has made calls may make another one some seconds into the drain, before "
    "it reads the GOAWAY")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_create(&limits);
    struct inbox between, unused;
    uint8_t ack[PING_BYTES];
    uint64_t begun;

    bench_listen(bench, "127.0.0.1:0");
    inbox_init(&between, bench, client_connect(bench));
    client_send_preface_wide(between.fd);
    client_request(between.fd, 1);
    loop_run_until(bench->loop, inbox_has_trailers, &between);
    inbox_init(&unused, bench, client_connect(bench));
    client_send_preface(unused.fd);
    while (metric_get(bench->metrics, M_CONNECTIONS) < 2)
        uv_run(bench->loop, UV_RUN_ONCE);
    begun = clock_monotonic_ns();
    net_drain(bench->net, bench_on_drained, bench);
    loop_run_until(bench->loop, inbox_is_over, &unused);
    client_request(between.fd, 3);
    inbox_read(&between);
    inbox_answer_ping(&between, ack);
    loop_run_until(bench->loop, inbox_is_over, &between);
    CHECK_EQ(inbox_frames(&between, 7, 0), 2);
    /* the daemon waits for 5 s; this machine may be slower */
    CHECK(inbox_frames(&between, 1, 1) == 2 ||
          clock_monotonic_ns() - begun > 4000000000u);
    inbox_fini(&between);
    inbox_fini(&unused);
    loop_run_until(bench->loop, bench_is_drained, bench);
    bench_destroy(bench);
}

CASE(waits_half_the_time,
     "a peer with a call that never answers its PING gets the second GOAWAY in time for "
     "its call to end")
{
    struct limits limits = limits_default();
    struct inbox inbox;
    struct bench *bench;

    limits.drain_ms_max = 2000;
    bench = bench_create_holding(&limits, &inbox);
    net_drain(bench->net, bench_on_drained, bench);
    loop_run_until(bench->loop, inbox_has_two_goaways, &inbox);
    bench_answer(bench, bench->held[0]);
    loop_run_until(bench->loop, inbox_is_over, &inbox);
    CHECK_EQ(inbox_frames(&inbox, 1, 1), 1);
    inbox_fini(&inbox);
    loop_run_until(bench->loop, bench_is_drained, bench);
    bench_destroy(bench);
}

/* A call of a connection that the drain found without its preface. */
static void check_first_call_is_served(struct bench *bench, struct inbox *inbox)
{
    loop_run_until(bench->loop, inbox_has_trailers, inbox);
    loop_run_until(bench->loop, inbox_has_goaway, inbox);
    CHECK_EQ(bench->requests, 1);
    inbox_fini(inbox);
    loop_run_until(bench->loop, bench_is_drained, bench);
    bench_destroy(bench);
}

CASE(drains_the_backlog,
     "a connection that waits in the backlog of a closing listener is "
     "served and drained")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_create(&limits);
    struct inbox inbox;

    bench_listen(bench, "127.0.0.1:0");
    inbox_init(&inbox, bench, client_connect(bench)); /* the loop has not run yet */
    client_send_preface_wide(inbox.fd);
    client_request(inbox.fd, 1);
    net_drain(bench->net, bench_on_drained, bench);
    CHECK_EQ(metric_get(bench->metrics, M_CONNECTIONS), 1);
    check_first_call_is_served(bench, &inbox);
}

CASE(drains_a_late_preface,
     "a preface that arrives during the drain is served and drained")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_create(&limits);
    struct inbox inbox;

    bench_listen(bench, "127.0.0.1:0");
    inbox_init(&inbox, bench, client_connect(bench));
    for (int turn = 0; turn < 10; turn++)
        uv_run(bench->loop, UV_RUN_NOWAIT);
    net_drain(bench->net, bench_on_drained, bench);
    for (int turn = 0; turn < 10; turn++)
        uv_run(bench->loop, UV_RUN_NOWAIT);
    client_send_preface_wide(inbox.fd);
    client_request(inbox.fd, 1);
    check_first_call_is_served(bench, &inbox);
}

CASE(gives_up, "connections that remain at drain_ms_max are closed")
{
    struct limits limits = limits_default();
    struct inbox inbox;
    struct bench *bench;

    limits.drain_ms_max = 50;
    bench = bench_create_holding(&limits, &inbox);
    net_drain(bench->net, bench_on_drained, bench); /* the request is never answered */
    loop_run_until(bench->loop, bench_is_drained, bench);
    CHECK_EQ(bench->closed, 1);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

CASE(aborts, "an abort ends the net during a write")
{
    const struct limits limits = limits_default();
    struct inbox inbox;
    struct bench *bench = bench_create_holding(&limits, &inbox);

    bench->reply_bytes = 64 << 20;
    bench_answer(bench, bench->held[0]);
    for (int turn = 0; turn < 10; turn++)
        uv_run(bench->loop, UV_RUN_NOWAIT); /* a write is under way, unread */
    net_drain(bench->net, bench_on_drained, bench);
    net_abort(bench->net);
    CHECK(!bench->drained);
    CHECK_EQ(bench->closed, 0);
    loop_run_until(bench->loop, bench_is_drained, bench);
    CHECK_EQ(bench->closed, 1);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

CASE(again_and_again, "a net starts and stops a hundred times, in any state")
{
    const struct limits limits = limits_default();

    for (int i = 0; i < 100; i++) {
        struct bench *bench = bench_create(&limits);
        struct inbox inbox;

        bench->hold = i % 4 == 0;
        bench_listen(bench, "127.0.0.1:0");
        inbox_init(&inbox, bench, client_connect(bench));
        client_send_preface(inbox.fd);
        client_request(inbox.fd, 1);
        for (int turn = 0; turn < i % 12; turn++) /* stop at any point */
            uv_run(bench->loop, UV_RUN_NOWAIT);
        if (i % 3)
            inbox_fini(&inbox);
        bench_destroy(bench);
        if (i % 3 == 0)
            inbox_fini(&inbox);
    }
}
