/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/net_bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "async/loop.h"
#include "tests/lib/check.h"
#include "tests/lib/loop.h"

/* A slice with its bytes behind it. */
struct body {
    struct h2_slice slice;
    char bytes[];
};

static void body_release(struct h2_slice *slice)
{
    free(slice);
}

void bench_answer(struct bench *bench, struct h2_stream *stream)
{
    const struct h2_header status = {"grpc-status", "0", 11, 1};

    CHECK_EQ(h2_respond(stream, 200, NULL, 0), 0);
    if (bench->reply_bytes) {
        struct body *body = calloc(1, sizeof(*body) + bench->reply_bytes);

        CHECK(body);
        body->slice.bytes = body->bytes;
        body->slice.count = bench->reply_bytes;
        body->slice.release = body_release;
        h2_write(stream, &body->slice);
    }
    CHECK_EQ(h2_finish(stream, &status, 1), 0);
}

static void bench_request(void *owner, struct h2_stream *stream,
                          const struct h2_header *headers, size_t count)
{
    struct bench *bench = owner;

    (void)headers, (void)count;
    bench->requests++;
    bench->peer = *h2_stream_peer(stream);
    h2_stream_set_user(stream, bench);
    if (bench->hold)
        bench->held[bench->held_count++] = stream;
}

static void bench_data(struct h2_stream *stream, const uint8_t *bytes, size_t count)
{
    (void)bytes;
    h2_credit(stream, count);
}

static void bench_end(struct h2_stream *stream)
{
    struct bench *bench = h2_stream_user(stream);

    if (!bench->hold)
        bench_answer(bench, stream);
}

static void bench_closed(struct h2_stream *stream, uint32_t code)
{
    struct bench *bench = h2_stream_user(stream);

    (void)code;
    bench->closed++;
}

struct bench *bench_create(const struct limits *limits)
{
    return bench_create_secure(limits, NULL);
}

/* What `bench` lacks of its own is the first one's. */
static struct bench *bench_open(struct bench *bench, struct tls_context *tls)
{
    struct failure failure = {0};

    bench->events = (struct h2_events){
        .request = bench_request,
        .data = bench_data,
        .end = bench_end,
        .closed = bench_closed,
    };
    bench->config = (struct net_config){.group = bench->group,
                                        .mailbox = bench->mailbox,
                                        .loop = bench->loop,
                                        .timers = bench->timers,
                                        .limits = &bench->limits,
                                        .events = &bench->events,
                                        .events_owner = bench,
                                        .unix_mode = 0660,
                                        .tls = tls,
                                        .metrics = bench->metrics};
    CHECK_EQ(net_create(&bench->net, &bench->config, &failure), 0);
    return bench;
}

static struct bench *bench_alone(const struct limits *limits)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct failure failure = {0};

    CHECK(bench);
    bench->loop = loop_create();
    CHECK_EQ(timers_create(&bench->timers, bench->loop, &failure), 0);
    bench->limits = *limits;
    bench->metrics = metrics_create(NULL, 0, "0", "none");
    CHECK(bench->metrics);
    return bench;
}

struct bench *bench_create_secure(const struct limits *limits, struct tls_context *tls)
{
    return bench_open(bench_alone(limits), tls);
}

struct bench *bench_create_group(const struct limits *limits)
{
    struct bench *bench = bench_alone(limits);

    bench->group = net_group_create(2, NULL);
    CHECK(bench->group);
    CHECK_EQ(mailbox_create(&bench->mailbox, bench->loop, NULL), 0);
    return bench_open(bench, NULL);
}

struct bench *bench_create_other(struct bench *first)
{
    struct bench *bench = malloc(sizeof(*bench));

    CHECK(bench);
    *bench = (struct bench){.loop = first->loop,
                            .timers = first->timers,
                            .limits = first->limits,
                            .metrics = first->metrics,
                            .first = first,
                            .group = first->group,
                            .mailbox = first->mailbox};
    return bench_open(bench, NULL);
}

void bench_listen(struct bench *bench, const char *address)
{
    struct failure failure = {0};

    if (net_listen(bench->net, address, bench->bound, sizeof(bench->bound), &failure) !=
        0)
        check_failed(__FILE__, __LINE__, "%s", failure.message);
}

static void on_watched(uv_poll_t *poll, int status, int events)
{
    (void)poll, (void)status, (void)events;
}

void bench_watch(struct bench *bench, int fd)
{
    bench->watch = malloc(sizeof(*bench->watch));
    CHECK(bench->watch);
    CHECK_EQ(uv_poll_init(bench->loop, bench->watch, fd), 0);
    CHECK_EQ(uv_poll_start(bench->watch, UV_READABLE, on_watched), 0);
}

static void on_unwatched(uv_handle_t *handle)
{
    free(handle);
}

void bench_unwatch(struct bench *bench)
{
    uv_close((uv_handle_t *)bench->watch, on_unwatched);
    bench->watch = NULL;
}

void bench_on_drained(void *arg)
{
    struct bench *bench = arg;

    CHECK(!bench->drained);
    bench->drained = true;
}

bool bench_is_drained(void *arg)
{
    return ((struct bench *)arg)->drained;
}

void bench_destroy(struct bench *bench)
{
    net_drain(bench->net, bench_on_drained, bench);
    net_abort(bench->net);
    if (bench->group && !bench->first)
        net_others_drained(bench->net);
    loop_run_until(bench->loop, bench_is_drained, bench);
    net_destroy(bench->net);
    if (!bench->first) {
        if (bench->mailbox)
            mailbox_close(bench->mailbox);
        timers_close(bench->timers);
        loop_destroy(bench->loop);
        net_group_destroy(bench->group);
        CHECK_EQ(metric_get(bench->metrics, M_CONNECTIONS), 0);
        metrics_destroy(bench->metrics);
    }
    free(bench);
}

int client_connect(const struct bench *bench)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    bool is_unix = strncmp(bench->bound, "unix:", 5) == 0;
    int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), result;

    CHECK(fd >= 0);
    if (is_unix) {
        snprintf(un.sun_path, sizeof(un.sun_path), "%s", bench->bound + 5);
        result = connect(fd, (struct sockaddr *)&un, sizeof(un));
    } else {
        in.sin_port = htons((uint16_t)atoi(strrchr(bench->bound, ':') + 1));
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        result = connect(fd, (struct sockaddr *)&in, sizeof(in));
    }
    CHECK_EQ(result, 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

void client_send(int fd, const void *bytes, size_t count)
{
    CHECK_EQ(send(fd, bytes, count, MSG_NOSIGNAL), count);
}

void client_send_preface(int fd)
{
    static const char hello[] =
        CLIENT_PREFACE "\0\0\0\4\0\0\0\0\0"; /* and empty SETTINGS */

    client_send(fd, hello, sizeof(hello) - 1);
}

void client_request_frame(uint8_t at[REQUEST_BYTES], uint32_t id)
{
    const uint8_t frame[REQUEST_BYTES] = {
        0,    0,    9,    1, 5,   0,   0,    0, (uint8_t)id, /* HEADERS, both ENDs */
        0x83, 0x86, 0x04, 2, '/', 'x', 0x01, 1, 'h'};

    memcpy(at, frame, sizeof(frame));
}

void client_request(int fd, uint32_t id)
{
    uint8_t frame[REQUEST_BYTES];

    client_request_frame(frame, id);
    client_send(fd, frame, sizeof(frame));
}

void client_send_preface_wide(int fd)
{
    static const char hello[] = CLIENT_PREFACE "\0\0\6\4\0\0\0\0\0\0\4\x7f\xff\xff\xff"
                                               "\0\0\4\10\0\0\0\0\0\x7f\xff\0\0";

    client_send(fd, hello, sizeof(hello) - 1);
}

void inbox_init(struct inbox *inbox, struct bench *bench, int fd)
{
    *inbox = (struct inbox){.bench = bench, .fd = fd, .capacity = 20 << 20};
    inbox->bytes = malloc(inbox->capacity);
    CHECK(inbox->bytes);
}

void inbox_fini(struct inbox *inbox)
{
    close(inbox->fd);
    free(inbox->bytes);
}

void inbox_read(struct inbox *inbox)
{
    ssize_t count;

    while ((count = recv(inbox->fd, inbox->bytes + inbox->count,
                         inbox->capacity - inbox->count, 0)) > 0)
        inbox->count += (size_t)count;
    if (count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
        inbox->over = true;
}

size_t inbox_frames(const struct inbox *inbox, uint8_t type, uint8_t flags)
{
    size_t frames = 0;

    for (size_t at = 0; at + 9 <= inbox->count;) {
        const uint8_t *head = inbox->bytes + at;
        size_t end = at + 9 + ((size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2]);

        frames += end <= inbox->count && head[3] == type && (!flags || (head[4] & flags));
        at = end;
    }
    return frames;
}

size_t inbox_data(const struct inbox *inbox)
{
    size_t bytes = 0;

    for (size_t at = 0; at + 9 <= inbox->count;) {
        const uint8_t *head = inbox->bytes + at;
        size_t length = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];

        at += 9 + length;
        if (head[3] == 0 && at <= inbox->count)
            bytes += length;
    }
    return bytes;
}

bool inbox_is_over(void *arg)
{
    inbox_read(arg);
    return ((struct inbox *)arg)->over;
}

bool inbox_has_trailers(void *arg)
{
    inbox_read(arg);
    return inbox_frames(arg, 1, 1) > 0;
}

bool inbox_has_goaway(void *arg)
{
    inbox_read(arg);
    return inbox_frames(arg, 7, 0) > 0;
}

bool inbox_has_two_goaways(void *arg)
{
    inbox_read(arg);
    return inbox_frames(arg, 7, 0) == 2;
}

void inbox_answer_ping(struct inbox *inbox, uint8_t ack[PING_BYTES])
{
    for (size_t at = 0; at + 9 <= inbox->count;) {
        const uint8_t *head = inbox->bytes + at;

        if (head[3] == 6) {
            memcpy(ack, head, PING_BYTES);
            ack[4] = 1;
            client_send(inbox->fd, ack, PING_BYTES);
        }
        at += 9 + ((size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2]);
    }
}

bool bench_has_request(void *arg)
{
    return ((struct bench *)arg)->requests > 0;
}

struct bench *bench_create_holding(const struct limits *limits, struct inbox *inbox)
{
    struct bench *bench = bench_create(limits);

    bench->hold = true;
    bench_listen(bench, "127.0.0.1:0");
    inbox_init(inbox, bench, client_connect(bench));
    client_send_preface_wide(inbox->fd);
    client_request(inbox->fd, 1);
    loop_run_until(bench->loop, bench_has_request, bench);
    return bench;
}

void bench_check_refusals(struct bench *bench, const char *limit, unsigned count)
{
    char line[128];
    size_t bytes;
    char *text = metrics_render(bench->metrics, false, &bytes);
    bool found;

    CHECK(text);
    snprintf(line, sizeof(line), "tritd_limit_refusals_total{limit=\"%s\"} %u\n", limit,
             count);
    found = strstr(text, line) != NULL;
    free(text);
    CHECK(found);
}
