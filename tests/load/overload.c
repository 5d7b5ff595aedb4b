/* SPDX-License-Identifier: Apache-2.0 */
/* Offers calls of one method to a daemon at a fixed rate and counts how they end.
 *
 *   overload PORT PATH REQUEST CONNECTIONS RATE SECONDS TIMEOUT_MS
 *
 * REQUEST is a file with the message. RATE is in calls a second: they begin at their time
 * whether or not earlier ones have ended. RATE 0: one call after another on every
 * connection, which finds the peak. Prints one line of JSON: calls offered, those that
 * ended in time by status, and latencies in milliseconds. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, CALLS_MAX = 1 << 20, OUTSTANDING_MAX = 100 };
enum { STATUS_OK = 0, STATUS_DEADLINE = 4, STATUS_EXHAUSTED = 8, STATUS_NONE = 99 };

struct load {
    struct connection *connections;
    struct pollfd *polls;
    size_t count;
    const char *path;
    char timeout[16];
    uint8_t *request; /* with its prefix */
    size_t request_bytes;
    double rate, seconds;
    uint64_t begin_ns, timeout_ns;
    uint64_t offered, unsent, outstanding, pushed_back;
    bool closing; /* no call begins any more */
    struct sample {
        float ms;
        int status;
    } * samples;
    size_t sample_count;
};

struct connection {
    struct load *load;
    int fd;
    nghttp2_session *session;
    const uint8_t *out;
    size_t out_left;
    uint32_t outstanding;
};

struct call {
    uint64_t begin_ns;
    size_t sent;
    int status;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "overload: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* ---- a call ------------------------------------------------------------------------ */

static ssize_t read_request(nghttp2_session *session, int32_t id, uint8_t *into,
                            size_t bytes, uint32_t *flags, nghttp2_data_source *source,
                            void *user)
{
    struct connection *connection = user;
    struct load *load = connection->load;
    struct call *call = source->ptr;
    size_t left = load->request_bytes - call->sent;
    size_t taken = left < bytes ? left : bytes;

    (void)session, (void)id;
    memcpy(into, load->request + call->sent, taken);
    call->sent += taken;
    if (call->sent == load->request_bytes)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)taken;
}

#define FIELD(n, v)                                                                      \
    {                                                                                    \
        (uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v), 0    \
    }

static void begin_call(struct connection *connection)
{
    struct load *load = connection->load;
    struct call *call = calloc(1, sizeof(*call));
    const nghttp2_nv fields[] = {FIELD(":method", "POST"),
                                 FIELD(":scheme", "http"),
                                 FIELD(":path", load->path),
                                 FIELD(":authority", "localhost"),
                                 FIELD("te", "trailers"),
                                 FIELD("content-type", "application/grpc"),
                                 FIELD("grpc-timeout", load->timeout)};
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = read_request};

    if (!call)
        die("calloc");
    call->begin_ns = now_ns();
    call->status = STATUS_NONE;
    if (nghttp2_submit_request(connection->session, NULL, fields,
                               sizeof(fields) / sizeof(fields[0]), &body, call) < 0)
        die("nghttp2_submit_request");
    connection->outstanding++;
    load->outstanding++;
    load->offered++;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *user)
{
    struct connection *connection = user;
    struct call *call =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)value_len, (void)flags;
    if (call && name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
        call->status = atoi((const char *)value);
    if (call && name_len == 22 && memcmp(name, "grpc-retry-pushback-ms", 22) == 0)
        connection->load->pushed_back++;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code,
                           void *user)
{
    struct connection *connection = user;
    struct load *load = connection->load;
    struct call *call = nghttp2_session_get_stream_user_data(session, id);
    uint64_t took = now_ns() - call->begin_ns;

    (void)code;
    if (call->status == STATUS_OK && took > load->timeout_ns)
        call->status = STATUS_DEADLINE; /* too late is as bad as never */
    if (load->sample_count < CALLS_MAX)
        load->samples[load->sample_count++] =
            (struct sample){(float)((double)took / 1e6), call->status};
    free(call);
    connection->outstanding--;
    load->outstanding--;
    if (load->rate <= 0 && !load->closing)
        begin_call(connection);
    return 0;
}

/* ---- connections ------------------------------------------------------------------- */

static void flush(struct connection *connection)
{
    for (;;) {
        if (connection->out_left == 0) {
            ssize_t count =
                nghttp2_session_mem_send(connection->session, &connection->out);

            if (count < 0)
                die("nghttp2_session_mem_send");
            if (count == 0)
                return;
            connection->out_left = (size_t)count;
        }
        ssize_t written = send(connection->fd, connection->out, connection->out_left,
                               MSG_NOSIGNAL | MSG_DONTWAIT);

        if (written < 0 && errno == EAGAIN)
            return;
        if (written < 0)
            die("send");
        connection->out += written;
        connection->out_left -= (size_t)written;
    }
}

static void receive(struct connection *connection)
{
    static uint8_t buffer[65536];
    ssize_t count = recv(connection->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        die("the daemon closed a connection");
    if (nghttp2_session_mem_recv(connection->session, buffer, (size_t)count) < 0)
        die("nghttp2_session_mem_recv");
}

static void connection_open(struct connection *connection, struct load *load,
                            const nghttp2_session_callbacks *callbacks, int port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int yes = 1;

    connection->load = load;
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
        die("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    if (nghttp2_session_client_new(&connection->session, callbacks, connection) != 0)
        die("nghttp2_session_client_new");
    nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, NULL, 0);
}

/* ---- the load ---------------------------------------------------------------------- */

/* Begins the calls whose time has come. */
static void offer(struct load *load)
{
    static size_t turn;
    double due = load->rate * (double)(now_ns() - load->begin_ns) / 1e9;

    while (!load->closing && (double)(load->offered + load->unsent) < due) {
        struct connection *connection = &load->connections[turn++ % load->count];

        if (connection->outstanding < OUTSTANDING_MAX)
            begin_call(connection);
        else
            load->unsent++;
    }
}

static void run(struct load *load)
{
    uint64_t end_ns = load->begin_ns + (uint64_t)(load->seconds * 1e9);

    if (load->rate <= 0)
        for (size_t i = 0; i < load->count; i++)
            begin_call(&load->connections[i]);
    while (load->outstanding > 0 || !load->closing) {
        load->closing |= now_ns() >= end_ns;
        if (now_ns() > end_ns + 2 * load->timeout_ns + 1000000000u)
            break;
        if (load->rate > 0)
            offer(load);
        for (size_t i = 0; i < load->count; i++) {
            flush(&load->connections[i]);
            load->polls[i].events =
                (short)(POLLIN | (load->connections[i].out_left ? POLLOUT : 0));
        }
        if (poll(load->polls, load->count, 1) < 0)
            die("poll");
        for (size_t i = 0; i < load->count; i++)
            if (load->polls[i].revents)
                receive(&load->connections[i]);
    }
}

static int by_ms(const void *a, const void *b)
{
    float left = ((const struct sample *)a)->ms, right = ((const struct sample *)b)->ms;

    return (left > right) - (left < right);
}

/* The latency below which `share` of the calls with a status are; sorted samples. */
static double quantile(const struct load *load, int status, double share)
{
    size_t count = 0, seen = 0;

    for (size_t i = 0; i < load->sample_count; i++)
        count += load->samples[i].status == status;
    for (size_t i = 0; i < load->sample_count; i++)
        if (load->samples[i].status == status && (double)++seen >= share * (double)count)
            return (double)load->samples[i].ms;
    return 0;
}

static size_t count_of(const struct load *load, int status)
{
    size_t count = 0;

    for (size_t i = 0; i < load->sample_count; i++)
        count += load->samples[i].status == status;
    return count;
}

static void report(struct load *load)
{
    size_t ok = count_of(load, STATUS_OK), late = count_of(load, STATUS_DEADLINE);
    size_t refused = count_of(load, STATUS_EXHAUSTED);

    qsort(load->samples, load->sample_count, sizeof(load->samples[0]), by_ms);
    printf("{\"offered\": %" PRIu64 ", \"unsent\": %" PRIu64 ", \"ok\": %zu, "
           "\"refused\": %zu, \"late\": %zu, \"other\": %zu, "
           "\"unanswered\": %" PRIu64 ", \"pushed_back\": %" PRIu64 ", "
           "\"goodput\": %.1f, \"ok_p50_ms\": %.2f, \"ok_p99_ms\": %.2f, "
           "\"refused_p50_ms\": %.2f, \"refused_p99_ms\": %.2f}\n",
           load->offered, load->unsent, ok, refused, late,
           load->sample_count - ok - refused - late, load->outstanding, load->pushed_back,
           (double)ok / load->seconds, quantile(load, STATUS_OK, 0.5),
           quantile(load, STATUS_OK, 0.99), quantile(load, STATUS_EXHAUSTED, 0.5),
           quantile(load, STATUS_EXHAUSTED, 0.99));
}

static void read_message(struct load *load, const char *path)
{
    FILE *file = fopen(path, "rb");
    long bytes;

    if (!file || fseek(file, 0, SEEK_END) != 0 || (bytes = ftell(file)) < 0)
        die(path);
    rewind(file);
    load->request_bytes = (size_t)bytes + 5;
    load->request = calloc(1, load->request_bytes);
    if (!load->request ||
        fread(load->request + 5, 1, (size_t)bytes, file) != (size_t)bytes)
        die(path);
    for (int i = 0; i < 4; i++)
        load->request[1 + i] = (uint8_t)(bytes >> (24 - 8 * i));
    fclose(file);
}

int main(int argc, char **argv)
{
    nghttp2_session_callbacks *callbacks;
    struct load load = {0};

    if (argc != 8) {
        fprintf(stderr, "usage: overload PORT PATH REQUEST CONNECTIONS RATE SECONDS "
                        "TIMEOUT_MS\n");
        return 2;
    }
    load.path = argv[2];
    read_message(&load, argv[3]);
    load.count = strtoul(argv[4], NULL, 10);
    load.rate = strtod(argv[5], NULL);
    load.seconds = strtod(argv[6], NULL);
    load.timeout_ns = strtoull(argv[7], NULL, 10) * 1000000u;
    snprintf(load.timeout, sizeof(load.timeout), "%sm", argv[7]);
    load.connections = calloc(load.count, sizeof(*load.connections));
    load.polls = calloc(load.count, sizeof(*load.polls));
    load.samples = calloc(CALLS_MAX, sizeof(*load.samples));
    if (load.count > CONNECTIONS_MAX || !load.connections || !load.polls || !load.samples)
        die("connections");
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    for (size_t i = 0; i < load.count; i++) {
        connection_open(&load.connections[i], &load, callbacks, atoi(argv[1]));
        load.polls[i].fd = load.connections[i].fd;
    }
    load.begin_ns = now_ns();
    run(&load);
    report(&load);
    return 0;
}
