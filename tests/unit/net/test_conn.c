/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/loop.h"
#include "tests/lib/net_bench.h"

/* ---- helpers ---- */

static struct bench *bench_on_tcp(const struct limits *limits)
{
    struct bench *bench = bench_create(limits);

    bench_listen(bench, "127.0.0.1:0");
    return bench;
}

static bool one_connection(void *arg)
{
    return metric_get(((struct bench *)arg)->metrics, M_CONNECTIONS) == 1;
}

static bool no_connection(void *arg)
{
    return metric_get(((struct bench *)arg)->metrics, M_CONNECTIONS) == 0;
}

/* ---- cases ---- */

CASE(http1, "an HTTP/1 request gets an answer that names the protocol of this port")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_on_tcp(&limits);
    struct inbox inbox;

    inbox_init(&inbox, bench, client_connect(bench));
    client_send(inbox.fd, "POST / HTTP/1.1\r\nHost: x\r\n\r\n", 28); /* P, as in PRI */
    loop_run_until(bench->loop, inbox_is_over, &inbox);
    inbox.bytes[inbox.count] = '\0';
    CHECK(strncmp((char *)inbox.bytes, "HTTP/1.1 426 ", 13) == 0);
    CHECK(strstr((char *)inbox.bytes, "gRPC"));
    inbox_fini(&inbox);
    bench_destroy(bench);
}

CASE(http1_in_pieces,
     "an HTTP/1 request is recognized although its first letter arrives alone")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_on_tcp(&limits);
    struct inbox inbox;

    inbox_init(&inbox, bench, client_connect(bench));
    client_send(inbox.fd, "P", 1);
    loop_run_until(bench->loop, one_connection, bench);
    client_send(inbox.fd, "UT / HTTP/1.1\r\n\r\n", 17);
    loop_run_until(bench->loop, inbox_is_over, &inbox);
    CHECK(inbox.count > 13 && memcmp(inbox.bytes, "HTTP/1.1 426 ", 13) == 0);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

CASE(tls_hello, "a TLS hello on a plain port gets an alert")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_on_tcp(&limits);
    struct inbox inbox;

    inbox_init(&inbox, bench, client_connect(bench));
    client_send(inbox.fd, "\x16\x03\x01\x02\x00\x01", 6);
    loop_run_until(bench->loop, inbox_is_over, &inbox);
    CHECK_EQ(inbox.count, 7);
    CHECK_MEM(inbox.bytes, "\x15\3\1\0\2\2\x0a", 7); /* fatal: unexpected_message */
    inbox_fini(&inbox);
    bench_destroy(bench);
}

static bool received(void *arg)
{
    struct inbox *inbox = arg;

    inbox_read(inbox);
    return metric_get(inbox->bench->metrics, M_RECEIVED_BYTES) == inbox->wanted;
}

CASE(byte_by_byte, "nothing is sent before the client's preface is complete")
{
    static const char hello[] = CLIENT_PREFACE "\0\0\0\4\0\0\0\0\0";
    const struct limits limits = limits_default();
    struct bench *bench = bench_on_tcp(&limits);
    struct inbox inbox;

    inbox_init(&inbox, bench, client_connect(bench));
    for (size_t i = 0; i < sizeof(hello) - 1; i++) {
        client_send(inbox.fd, hello + i, 1);
        inbox.wanted = i + 1;
        loop_run_until(bench->loop, received, &inbox);
        if (i < sizeof(CLIENT_PREFACE) - 2)
            CHECK_EQ(inbox.count, 0); /* not a word before the preface */
    }
    client_request(inbox.fd, 1);
    loop_run_until(bench->loop, inbox_has_trailers, &inbox);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

CASE(silent_peer, "a peer that sends no SETTINGS in time is closed")
{
    struct limits limits = limits_default();
    struct bench *bench;
    struct inbox inbox;

    limits.handshake_ms_max = 20;
    bench = bench_on_tcp(&limits);
    inbox_init(&inbox, bench, client_connect(bench));
    client_send(inbox.fd, CLIENT_PREFACE, sizeof(CLIENT_PREFACE) - 1); /* no SETTINGS */
    loop_run_until(bench->loop, inbox_is_over, &inbox);
    bench_check_refusals(bench, "handshake_ms", 1);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

CASE(large_reply, "a large reply arrives completely")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_on_tcp(&limits);
    struct inbox inbox;

    bench->reply_bytes = 16 << 20;
    inbox_init(&inbox, bench, client_connect(bench));
    client_send_preface_wide(inbox.fd);
    client_request(inbox.fd, 1);
    loop_run_until(bench->loop, inbox_has_trailers, &inbox);
    CHECK_EQ(inbox_data(&inbox), 16 << 20);
    CHECK_EQ(metric_get(bench->metrics, M_SENT_BYTES), inbox.count);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

CASE(many_requests, "the answers of one turn of the loop leave in one write")
{
    uint8_t requests[60][REQUEST_BYTES];
    const struct limits limits = limits_default();
    struct bench *bench = bench_on_tcp(&limits);
    struct inbox inbox;

    bench->reply_bytes = 100;
    inbox_init(&inbox, bench, client_connect(bench));
    client_send_preface_wide(inbox.fd);
    for (uint32_t i = 0; i < 60; i++)
        client_request_frame(requests[i], 2 * i + 1);
    client_send(inbox.fd, requests, sizeof(requests));
    loop_run_until(bench->loop, inbox_has_trailers, &inbox);
    CHECK_EQ(inbox_frames(&inbox, 1, 1), 60); /* the first piece that arrives has all */
    inbox_fini(&inbox);
    bench_destroy(bench);
}

static bool stream_refused(void *arg)
{
    inbox_read(arg);
    return inbox_frames(arg, 3, 0) > 0;
}

CASE(too_many_streams, "a request above the limit of streams is reset and counted")
{
    struct limits limits = limits_default();
    struct inbox inbox;
    struct bench *bench;

    limits.streams_per_connection_max = 1;
    bench = bench_create_holding(&limits, &inbox);
    client_request(inbox.fd, 3);
    loop_run_until(bench->loop, stream_refused, &inbox);
    bench_check_refusals(bench, "streams_per_connection", 1);
    bench_answer(bench, bench->held[0]); /* the first one is served */
    loop_run_until(bench->loop, inbox_has_trailers, &inbox);
    CHECK_EQ(bench->requests, 1);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

CASE(reads_nothing, "a peer that reads nothing is closed")
{
    struct limits limits = limits_default();
    struct bench *bench;
    int fd;

    limits.idle_ms_max = 50;
    bench = bench_on_tcp(&limits);
    bench->reply_bytes = 64 << 20; /* more than any pair of socket buffers */
    fd = client_connect(bench);
    client_send_preface_wide(fd);
    client_request(fd, 1);
    loop_run_until(bench->loop, bench_has_request, bench);
    loop_run_until(bench->loop, no_connection, bench);
    bench_check_refusals(bench, "idle_ms", 1);
    CHECK_EQ(bench->closed, 1);
    close(fd);
    bench_destroy(bench);
}

CASE(breaks_the_rules,
     "a peer that breaks HTTP/2's rules gets a GOAWAY and is disconnected")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_on_tcp(&limits);
    struct inbox inbox;

    inbox_init(&inbox, bench, client_connect(bench));
    client_send_preface(inbox.fd);
    client_send(inbox.fd, "\0\0\0\0\0\0\0\0\0", 9); /* DATA on stream 0 */
    loop_run_until(bench->loop, inbox_is_over, &inbox);
    CHECK_EQ(inbox_frames(&inbox, 7, 0), 1);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

CASE(floods, "a flood ends the connection")
{
    static const char ping[] = "\0\0\x08\6\0\0\0\0\0ping-ing";
    const struct limits limits = limits_default();
    struct bench *bench = bench_on_tcp(&limits);
    struct inbox inbox;
    static char pings[17 * 1000];

    for (size_t i = 0; i < 1000; i++)
        memcpy(pings + 17 * i, ping, 17);
    inbox_init(&inbox, bench, client_connect(bench));
    client_send_preface(inbox.fd);
    inbox.wanted = sizeof(CLIENT_PREFACE) - 1 + 9;
    for (int i = 0; i < 40 && !inbox.over; i++) {
        if (send(inbox.fd, pings, sizeof(pings), MSG_NOSIGNAL) != sizeof(pings))
            break;
        inbox.wanted += sizeof(pings);
        for (int turn = 0; turn < 100 && !inbox.over && !received(&inbox); turn++)
            uv_run(bench->loop, UV_RUN_NOWAIT);
    }
    loop_run_until(bench->loop, inbox_is_over, &inbox);
    CHECK_EQ(bench->requests, 0);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

CASE(peer_leaves, "the calls of a connection end when the peer disconnects")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_on_tcp(&limits);
    int fd;

    bench->hold = true;
    fd = client_connect(bench);
    client_send_preface(fd);
    client_request(fd, 1);
    loop_run_until(bench->loop, bench_has_request, bench);
    CHECK_EQ(bench->closed, 0);
    close(fd);
    loop_run_until(bench->loop, no_connection, bench);
    CHECK_EQ(bench->closed, 1);
    bench_destroy(bench);
}

CASE(late_answer, "an answer that is produced outside of a read is sent too")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_on_tcp(&limits);
    struct inbox inbox;

    bench->hold = true;
    bench->reply_bytes = 10;
    inbox_init(&inbox, bench, client_connect(bench));
    client_send_preface(inbox.fd);
    client_request(inbox.fd, 1);
    loop_run_until(bench->loop, bench_has_request, bench);
    bench_answer(bench, bench->held[0]); /* outside of any read: the wake brings it out */
    loop_run_until(bench->loop, inbox_has_trailers, &inbox);
    CHECK_EQ(inbox_data(&inbox), 10);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

/* One request, with the nth allocation of it failing. False: there was none. */
static bool survives(uint64_t nth)
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_on_tcp(&limits);
    struct inbox inbox;
    bool failed;

    bench->hold = true;
    inbox_init(&inbox, bench, client_connect(bench));
    client_send_preface(inbox.fd);
    client_request(inbox.fd, 1);
    fault_arm(FAULT_MEMORY, nth, FAULT_ONCE);
    for (int turn = 0; turn < 20; turn++)
        uv_run(bench->loop, UV_RUN_NOWAIT);
    failed = fault_disarm();
    CHECK(failed || bench->requests == 1);
    inbox_fini(&inbox);
    bench_destroy(bench);
    CHECK(nth < 1000);
    return failed;
}

CASE(without_memory, "any single allocation of a connection may fail")
{
    uint64_t nth = 1;

    while (survives(nth))
        nth++;
    CHECK(nth > 10);
}
