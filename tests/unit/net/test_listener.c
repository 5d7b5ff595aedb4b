/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "net/address.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/loop.h"
#include "tests/lib/net_bench.h"

/* ---- helpers ---- */

static const char *unix_address(void)
{
    static char address[64];

    snprintf(address, sizeof(address), "unix:/tmp/tritd-net-%d.sock", (int)getpid());
    return address;
}

static void serves_on(const char *address)
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_create(&limits);
    struct inbox inbox;

    bench_listen(bench, address);
    inbox_init(&inbox, bench, client_connect(bench));
    client_send_preface(inbox.fd);
    client_request(inbox.fd, 1);
    loop_run_until(bench->loop, inbox_has_trailers, &inbox);
    CHECK_EQ(bench->requests, 1);
    CHECK_EQ(bench->closed, 1);
    CHECK_EQ(metric_get(bench->metrics, M_CONNECTIONS), 1);
    CHECK_EQ(metric_get(bench->metrics, M_SENT_BYTES), inbox.count);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

static void check_refused(const char *address, const char *reason)
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_create(&limits);
    struct failure failure = {0};

    CHECK_EQ(
        net_listen(bench->net, address, bench->bound, sizeof(bench->bound), &failure),
        -1);
    if (!strstr(failure.message, reason))
        check_failed(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", failure.message,
                     reason);
    bench_destroy(bench);
}

/* ---- cases ---- */

CASE(serves_tcp, "a request over TCP is answered")
{
    serves_on("127.0.0.1:0");
}

CASE(
    serves_unix,
    "a request over a Unix socket is answered, and the socket file is removed at the end")
{
    serves_on(unix_address());
    CHECK(access(unix_address() + 5, F_OK) != 0);
}

CASE(serves_everywhere, "one net listens on several addresses")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_create(&limits);

    bench_listen(bench, "127.0.0.1:0");
    bench_listen(bench, "[::1]:0");
    CHECK(strncmp(bench->bound, "[::1]:", 6) == 0);
    bench_listen(bench, unix_address());
    CHECK_STR(bench->bound, unix_address());
    bench_destroy(bench);
}

CASE(socket_mode, "a Unix socket has mode 0660, and one that is in use is not replaced")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_create(&limits);
    struct stat status;

    bench_listen(bench, unix_address());
    CHECK_EQ(stat(unix_address() + 5, &status), 0);
    CHECK_EQ(status.st_mode & 0777, 0660);
    check_refused(unix_address(), "another process listens there");
    CHECK_EQ(access(unix_address() + 5, F_OK), 0);
    bench_destroy(bench);
}

CASE(stale_socket, "a socket file that was left behind is replaced")
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(un.sun_path, sizeof(un.sun_path), "%s", unix_address() + 5);
    CHECK_EQ(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    close(fd);
    serves_on(unix_address());
}

CASE(file_in_the_way, "a file that is not a socket is not replaced")
{
    FILE *file = fopen(unix_address() + 5, "w");

    CHECK(file);
    fclose(file);
    check_refused(unix_address(), "a file that is not a socket is already there");
    CHECK_EQ(unlink(unix_address() + 5), 0);
}

CASE(bad_addresses, "a bad address is refused by name")
{
    static char long_path[200] = "unix:/";

    memset(long_path + 6, 'x', sizeof(long_path) - 7);
    check_refused("", "is not host:port");
    check_refused("127.0.0.1", "is not host:port");
    check_refused("127.0.0.1:", "is not host:port");
    check_refused("127.0.0.1:65536", "port \"65536\" is not a number from 0 to 65535");
    check_refused("127.0.0.1:-1", "port \"-1\" is not a number from 0 to 65535");
    check_refused("127.0.0.1:1x", "port \"1x\" is not a number from 0 to 65535");
    check_refused("127.0.0.1:+80", "port \"+80\" is not a number");
    check_refused("127.0.0.1: 80", "port \" 80\" is not a number");
    check_refused("[::1]:4294967297", "port \"4294967297\" is not a number");
    check_refused("::1:80", "is not host:port");
    check_refused("[::1:80", "is not host:port");
    check_refused("300.0.0.1:0", "300.0.0.1:0");
    check_refused("192.0.2.1:0", "bind");
    check_refused("unix:relative", "must be absolute");
    check_refused(long_path, "at most 107 bytes");
}

CASE(local_addresses, "local addresses are recognized without a name server")
{
    CHECK(net_address_is_local("127.0.0.1:1"));
    CHECK(net_address_is_local("127.9.9.9:1"));
    CHECK(net_address_is_local("[::1]:1"));
    CHECK(net_address_is_local("[::ffff:127.0.0.1]:1"));
    CHECK(net_address_is_local("localhost:1"));
    CHECK(net_address_is_local("unix:/x"));
    CHECK(!net_address_is_local("0.0.0.0:1"));
    CHECK(!net_address_is_local("[::]:1"));
    CHECK(!net_address_is_local("*:1"));
    CHECK(!net_address_is_local(":1"));
    CHECK(!net_address_is_local("10.0.0.1:1"));
    CHECK(!net_address_is_local("127.example.org:1"));
    CHECK(!net_address_is_local("localhost.example.org:1"));
}

CASE(port_taken, "a port in use is refused")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_create(&limits);

    bench_listen(bench, "127.0.0.1:0");
    check_refused(bench->bound, "bind");
    bench_destroy(bench);
}

static bool one_is_left(void *arg)
{
    return metric_get(((struct bench *)arg)->metrics, M_CONNECTIONS) == 1;
}

static bool two_are_held(void *arg)
{
    return ((struct bench *)arg)->held_count == 2;
}

CASE(connection_limit,
     "above the limit of busy connections a new one is closed immediately")
{
    struct limits limits = limits_default();
    struct bench *bench;
    struct inbox inboxes[4];

    limits.connections_max = 2;
    bench = bench_create(&limits);
    bench->hold = true;
    bench_listen(bench, "127.0.0.1:0");
    for (int i = 0; i < 2; i++) {
        inbox_init(&inboxes[i], bench, client_connect(bench));
        client_send_preface(inboxes[i].fd);
        client_request(inboxes[i].fd, 1);
    }
    loop_run_until(bench->loop, two_are_held, bench);
    inbox_init(&inboxes[2], bench, client_connect(bench));
    loop_run_until(bench->loop, inbox_is_over, &inboxes[2]);
    bench_check_refusals(bench, "connections", 1);
    CHECK_EQ(metric_get(bench->metrics, M_CONNECTIONS), 2);
    CHECK_EQ(metric_get(bench->metrics, M_CONNECTIONS_YIELDED), 0);
    for (size_t i = 0; i < 2; i++)
        bench_answer(bench, bench->held[i]);
    for (int i = 0; i < 2; i++)
        loop_run_until(bench->loop, inbox_has_trailers, &inboxes[i]);
    bench->hold = false;
    inbox_fini(&inboxes[0]);
    loop_run_until(bench->loop, one_is_left, bench);
    inbox_init(&inboxes[3], bench, client_connect(bench));
    client_send_preface(inboxes[3].fd);
    client_request(inboxes[3].fd, 1);
    loop_run_until(bench->loop, inbox_has_trailers, &inboxes[3]);
    inbox_fini(&inboxes[3]);
    inbox_fini(&inboxes[1]);
    inbox_fini(&inboxes[2]);
    bench_destroy(bench);
}

CASE(idle_ones_give_way, "above the limit the connection that was idle longest gives way")
{
    struct limits limits = limits_default();
    struct bench *bench;
    struct inbox silent, idle, newcomer;

    limits.connections_max = 2;
    bench = bench_create(&limits);
    bench_listen(bench, "127.0.0.1:0");
    inbox_init(&silent, bench, client_connect(bench)); /* never says a word */
    inbox_init(&idle, bench, client_connect(bench));
    client_send_preface(idle.fd);
    client_request(idle.fd, 1);
    loop_run_until(bench->loop, inbox_has_trailers, &idle);
    for (uint32_t i = 0; i < 3; i++) {
        inbox_init(&newcomer, bench, client_connect(bench));
        client_send_preface(newcomer.fd);
        client_request(newcomer.fd, 1);
        loop_run_until(bench->loop, inbox_has_trailers, &newcomer);
        if (i == 0) {
            loop_run_until(bench->loop, inbox_is_over, &silent);
            inbox_read(&idle);
            CHECK(!idle.over);
        } else if (i == 1) {
            loop_run_until(bench->loop, inbox_is_over, &idle);
            CHECK_EQ(inbox_frames(&idle, 7, 0), 1); /* told by a GOAWAY */
        }
        if (i < 2)
            inbox_fini(i == 0 ? &silent : &idle);
        if (i == 0)
            silent = newcomer;
        else if (i == 1)
            idle = newcomer;
    }
    CHECK_EQ(metric_get(bench->metrics, M_CONNECTIONS_YIELDED), 3);
    bench_check_refusals(bench, "connections", 0);
    inbox_fini(&silent);
    inbox_fini(&idle);
    inbox_fini(&newcomer);
    bench_destroy(bench);
}

struct turns {
    unsigned count;
    uint64_t until_ns;
};

static bool enough_turns(void *arg)
{
    struct turns *turns = arg;

    turns->count++;
    return uv_hrtime() >= turns->until_ns;
}

CASE(no_descriptors, "accepting waits while descriptors run out, then recovers")
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_create(&limits);
    struct turns turns = {.until_ns = uv_hrtime() + 250 * 1000000ull};
    struct rlimit was, none;
    struct inbox inbox;

    bench_listen(bench, "127.0.0.1:0");
    inbox_init(&inbox, bench, client_connect(bench));
    client_send_preface(inbox.fd);
    client_request(inbox.fd, 1);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = was.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    loop_run_until(bench->loop, enough_turns, &turns);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
    CHECK(turns.count < 50); /* it waited, rather than tried all the time */
    CHECK_EQ(bench->requests, 0);
    loop_run_until(bench->loop, inbox_has_trailers, &inbox);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

/* net_create and net_listen, with their nth allocation failing. */
static bool starts(uint64_t nth)
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_create(&limits);
    struct failure failure = {0};
    struct net *net = NULL;
    bool failed;

    fault_arm(FAULT_MEMORY, nth, FAULT_ONCE);
    if (net_create(&net, &bench->config, &failure) == 0)
        net_listen(net, "127.0.0.1:0", bench->bound, sizeof(bench->bound), &failure);
    failed = fault_disarm();
    CHECK_EQ(failed, failure.status == TRIT_RESOURCE_EXHAUSTED);
    if (net) {
        net_drain(net, bench_on_drained, bench);
        loop_run_until(bench->loop, bench_is_drained, bench);
        bench->drained = false;
        net_destroy(net);
    }
    bench_destroy(bench);
    return !failed;
}

CASE(start_without_memory, "a start without memory fails and leaves nothing behind")
{
    uint64_t nth = 1;

    while (!starts(nth))
        nth++;
    CHECK_EQ(nth, 5); /* the net, its buffer, its group, the listener */
}
