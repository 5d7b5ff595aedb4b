/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that read the store have a thread of their own. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/http.h"
#include "tests/lib/slow_store.h"
#include "tests/lib/store_fixture.h"
#include "web/web.h"

static const char one_report[] = "GET /v1/runs/r/layers/l?step=1 HTTP/1.1\r\n"
                                 "Host: 127.0.0.1\r\nConnection: close\r\n\r\n";

struct fixture {
    struct store_fixture store;
    struct store_reader *reader;
    struct web *web;
    char address[64];
};

static void fixture_init(struct fixture *fixture)
{
    static uint8_t codes[4];
    struct failure failure = {0};
    struct web_config config = {.address = "127.0.0.1:0", .version = "1.2.3"};
    struct fixture_put put;
    struct trit_report report;

    *fixture = (struct fixture){0};
    store_fixture_init(&fixture->store, true);
    fixture_report(&report, "r", "l", 1, 1, 2, 8, 4);
    fixture_put(&fixture->store, &put, &report, codes, sizeof(codes));
    CHECK(store_reader_open(&fixture->reader, fixture->store.store, &failure) == 0);
    config.reader = fixture->reader;
    config.metrics = fixture->store.metrics;
    CHECK(web_start(&fixture->web, &config, fixture->address, sizeof(fixture->address),
                    &failure) == 0);
}

static void fixture_fini(struct fixture *fixture)
{
    web_stop(fixture->web);
    store_reader_close(fixture->reader);
    store_fixture_fini(&fixture->store);
}

/* Sends the request for a report, and does not wait for its reply. */
static int ask(struct fixture *fixture)
{
    int fd = http_connect(fixture->address);

    CHECK_EQ(send(fd, one_report, strlen(one_report), MSG_NOSIGNAL), strlen(one_report));
    return fd;
}

static void check_get(struct fixture *fixture, const char *path)
{
    struct http_reply reply;

    http_get(&reply, fixture->address, path, NULL);
    CHECK_EQ(reply.status, 200);
    http_free(&reply);
}

static void check_reply(int fd)
{
    struct http_reply reply;

    http_exchange(&reply, fd, ""); /* the request is sent already */
    CHECK_EQ(reply.status, 200);
    CHECK(strstr(reply.body, "\"layer\""));
    http_free(&reply);
}

CASE(probes_go_on, "probes, metrics and the style sheet are answered while a query runs")
{
    static const char *const paths[] = {"/livez", "/readyz", "/healthz", "/metrics",
                                        "/style.css"};
    struct fixture fixture;
    int fd;

    fixture_init(&fixture);
    slow_store_hold();
    fd = ask(&fixture);
    slow_store_wait();
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        check_get(&fixture, paths[i]);
    slow_store_release();
    check_reply(fd);
    fixture_fini(&fixture);
}

CASE(in_order, "queries that wait are all answered")
{
    struct fixture fixture;
    int fds[8];

    fixture_init(&fixture);
    slow_store_hold();
    for (int i = 0; i < 8; i++)
        fds[i] = ask(&fixture);
    slow_store_wait();
    slow_store_release();
    for (int i = 0; i < 8; i++)
        check_reply(fds[i]);
    CHECK_EQ(slow_store_reads(), 8);
    fixture_fini(&fixture);
}

CASE(gone, "a query is not computed when its client has reset the connection")
{
    const struct linger reset = {.l_onoff = 1};
    struct fixture fixture;
    int first, second, third;

    fixture_init(&fixture);
    slow_store_hold();
    first = ask(&fixture);
    slow_store_wait();
    second = ask(&fixture);
    check_get(&fixture, "/livez"); /* a turn of the loop: it has been read */
    check_get(&fixture, "/livez");
    setsockopt(second, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(second);
    check_get(&fixture, "/livez");
    third = ask(&fixture);
    slow_store_release();
    check_reply(first);
    check_reply(third);
    CHECK_EQ(slow_store_reads(), 2);
    fixture_fini(&fixture);
}

CASE(stops, "a server stops while queries wait")
{
    struct fixture fixture;
    int running, waiting;

    fixture_init(&fixture);
    slow_store_hold();
    running = ask(&fixture);
    slow_store_wait();
    waiting = ask(&fixture);
    check_get(&fixture, "/livez");
    check_get(&fixture, "/livez");
    slow_store_release();
    fixture_fini(&fixture);
    close(running);
    close(waiting);
}
