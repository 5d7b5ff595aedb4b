/* SPDX-License-Identifier: Apache-2.0 */
/* How fast reports are filed by many clients.
 *
 *   bench_reports file PORT RUN LAYERS STEP STEPS CONNECTIONS
 *   bench_reports flush FOLDER SECONDS
 *
 * `file` projects LAYERS tensors at each of STEPS steps, from STEP on, and waits for all
 * answers. Each connection is a client that has one call open at a time, and files some of
 * the layers. `flush` appends 4 KiB to a file and flushes, again and again: what a program
 * reaches that flushes once for each report. Prints one line of JSON.
 *
 * The client writes frames by itself, as it shares the CPUs with the daemon: a library for
 * HTTP/2 would take as much time as the daemon's own. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 1024,
    ROWS = 8,
    COLUMNS = 128,
    WEIGHTS = ROWS * COLUMNS,
    BASE_WEIGHTS = 1 << 16,
    FLIPPED = 8, /* weights that change their sign from step to step */
    FRAME_HEAD = 9,
    OUT_BYTES = 8192,
    IN_BYTES = 65536,
    WINDOW_BYTES = 1 << 30,
    FLUSH_BYTES = 4096,
};
enum { FRAME_DATA = 0, FRAME_HEADERS = 1, FRAME_SETTINGS = 4, FRAME_PING = 6 };
enum { FRAME_GOAWAY = 7, FRAME_WINDOW_UPDATE = 8 };
enum { FLAG_END_STREAM = 1, FLAG_ACK = 1, FLAG_END_HEADERS = 4 };

struct load {
    const char *run;
    uint64_t layers, step, steps;
    size_t count;
    struct connection *connections;
    float *base;
    uint64_t filed, open;
};

struct connection {
    struct load *load;
    int fd;
    uint32_t stream;      /* of the next call */
    uint64_t layer, step; /* of the next call */
    size_t first;         /* its first layer; then every load->count-th */
    bool got_message;
    uint64_t received; /* bytes of DATA since the last WINDOW_UPDATE */
    uint8_t in[IN_BYTES];
    size_t in_count;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_reports: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* User and system time of this process in seconds. */
static double cpu(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

/* ---- bytes -------------------------------------------------------------------------- */

struct bytes {
    uint8_t *at;
};

static void put(struct bytes *to, const void *bytes, size_t count)
{
    memcpy(to->at, bytes, count);
    to->at += count;
}

static void put_byte(struct bytes *to, unsigned byte)
{
    *to->at++ = (uint8_t)byte;
}

static void put_u32(struct bytes *to, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        put_byte(to, value >> shift & 0xff);
}

static void put_frame(struct bytes *to, size_t payload, unsigned type, unsigned flags,
                      uint32_t stream)
{
    put_u32(to, (uint32_t)payload << 8 | type);
    put_byte(to, flags);
    put_u32(to, stream);
}

static void put_varint(struct bytes *to, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        put_byte(to, (unsigned)(value & 0x7f) | 0x80);
    put_byte(to, (unsigned)value);
}

static void put_field(struct bytes *to, unsigned number, const void *bytes, size_t count)
{
    put_varint(to, number << 3 | 2);
    put_varint(to, count);
    put(to, bytes, count);
}

/* ---- a call ------------------------------------------------------------------------- */

/* A header that the peer keeps in its table. `name` NULL: that of the static entry. */
static void put_header(struct bytes *to, unsigned entry, const char *name,
                       const char *value)
{
    put_byte(to, 0x40 | (name ? 0 : entry));
    if (name) {
        put_byte(to, (unsigned)strlen(name));
        put(to, name, strlen(name));
    }
    put_byte(to, (unsigned)strlen(value));
    put(to, value, strlen(value));
}

/* Later calls name the headers that the first one put into the peer's table. */
static size_t header_block(bool first, uint8_t block[256])
{
    static const uint8_t later[] = {0x83, 0x86, 0xc1, 0xc0, 0xbf, 0xbe};
    struct bytes to = {block};

    if (!first) {
        put(&to, later, sizeof(later));
    } else {
        put(&to, later, 2); /* :method POST, :scheme http */
        put_header(&to, 4, NULL, "/trit.v1.Ternary/Project");
        put_header(&to, 1, NULL, "localhost");
        put_header(&to, 0, "te", "trailers");
        put_header(&to, 31, NULL, "application/grpc");
    }
    return (size_t)(to.at - block);
}

/* The weights of a layer at a step: some change their sign at each step. */
static void weights_of(const struct load *load, uint64_t layer, uint64_t step,
                       float weights[WEIGHTS])
{
    memcpy(weights, load->base + layer * 61 % (BASE_WEIGHTS - WEIGHTS),
           WEIGHTS * sizeof(float));
    for (uint64_t i = 0; i < FLIPPED; i++) {
        uint64_t at = (step * 131 + i * 127) % WEIGHTS;

        weights[at] = -weights[at];
    }
}

/* A ProjectRequest with its prefix. */
static size_t request_of(const struct load *load, uint64_t layer, uint64_t step,
                         uint8_t *message)
{
    float weights[WEIGHTS];
    uint8_t ref[300], tensor[64 + sizeof(weights)];
    static const uint8_t options[] = {3 << 3, 2}; /* encoding: PQ2_0 */
    static const uint8_t head[] = {
        1 << 3, 1, 2 << 3 | 2, 3, ROWS, (COLUMNS & 0x7f) | 0x80, COLUMNS >> 7};
    struct bytes to = {ref};
    char name[64];

    put_field(&to, 1, load->run, strlen(load->run));
    snprintf(name, sizeof(name), "layers.%" PRIu64 ".mlp.up_proj.weight", layer);
    put_field(&to, 2, name, strlen(name));
    put_varint(&to, 3 << 3);
    put_varint(&to, step);
    size_t ref_bytes = (size_t)(to.at - ref);

    weights_of(load, layer, step, weights);
    to.at = tensor;
    put(&to, head, sizeof(head));
    put_field(&to, 15, weights, sizeof(weights));
    size_t tensor_bytes = (size_t)(to.at - tensor);

    to.at = message + 5;
    put_field(&to, 1, options, sizeof(options));
    put_field(&to, 2, ref, ref_bytes);
    put_field(&to, 3, tensor, tensor_bytes);
    size_t count = (size_t)(to.at - message);

    to.at = message;
    put_byte(&to, 0);
    put_u32(&to, (uint32_t)count - 5);
    return count;
}

static void send_all(struct connection *connection, const uint8_t *bytes, size_t count)
{
    /* One call at a time fits the socket's buffer. */
    if (send(connection->fd, bytes, count, MSG_NOSIGNAL) != (ssize_t)count)
        die("send");
}

/* Begins the connection's next call, if there is one. */
static void call_next(struct connection *connection)
{
    struct load *load = connection->load;
    uint8_t out[OUT_BYTES], block[256], message[OUT_BYTES];
    struct bytes to = {out};

    if (connection->step == load->step + load->steps)
        return;
    size_t headers = header_block(connection->stream == 1, block);
    size_t data = request_of(load, connection->layer, connection->step, message);

    put_frame(&to, headers, FRAME_HEADERS, FLAG_END_HEADERS, connection->stream);
    put(&to, block, headers);
    put_frame(&to, data, FRAME_DATA, FLAG_END_STREAM, connection->stream);
    put(&to, message, data);
    send_all(connection, out, (size_t)(to.at - out));
    connection->got_message = false;
    connection->stream += 2;
    connection->layer += load->count;
    if (connection->layer >= load->layers) {
        connection->layer = connection->first;
        connection->step++;
    }
    load->open++;
}

/* ---- replies ------------------------------------------------------------------------ */

static void take_data(struct connection *connection, size_t bytes)
{
    uint8_t out[FRAME_HEAD + 4];
    struct bytes to = {out};

    connection->got_message = connection->got_message || bytes > 0;
    connection->received += bytes;
    if (connection->received < WINDOW_BYTES / 2)
        return;
    put_frame(&to, 4, FRAME_WINDOW_UPDATE, 0, 0);
    put_u32(&to, (uint32_t)connection->received);
    send_all(connection, out, sizeof(out));
    connection->received = 0;
}

static void acknowledge(struct connection *connection, unsigned type,
                        const uint8_t *payload, size_t bytes)
{
    uint8_t out[FRAME_HEAD + 8];
    struct bytes to = {out};

    put_frame(&to, bytes, type, FLAG_ACK, 0);
    put(&to, payload, bytes);
    send_all(connection, out, FRAME_HEAD + bytes);
}

static void take_frame(struct connection *connection, unsigned type, unsigned flags,
                       const uint8_t *payload, size_t bytes)
{
    struct load *load = connection->load;
    bool ended = (type == FRAME_DATA || type == FRAME_HEADERS) && flags & FLAG_END_STREAM;

    if (type == FRAME_GOAWAY)
        die("the daemon closes the connection");
    if (type == FRAME_DATA)
        take_data(connection, bytes);
    if (type == FRAME_SETTINGS && !(flags & FLAG_ACK))
        acknowledge(connection, type, payload, 0);
    if (type == FRAME_PING && !(flags & FLAG_ACK))
        acknowledge(connection, type, payload, bytes);
    if (!ended)
        return;
    /* Only a call that succeeds has a message. */
    if (!connection->got_message) {
        fprintf(stderr, "bench_reports: a call failed: %.*s\n", (int)bytes,
                (const char *)payload);
        exit(1);
    }
    load->filed++;
    load->open--;
    call_next(connection);
}

static void receive(struct connection *connection)
{
    size_t at = 0;
    ssize_t count = recv(connection->fd, connection->in + connection->in_count,
                         IN_BYTES - connection->in_count, 0);

    if (count <= 0)
        die("recv");
    connection->in_count += (size_t)count;
    while (connection->in_count - at >= FRAME_HEAD) {
        const uint8_t *head = connection->in + at;
        size_t bytes = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];

        if (connection->in_count - at < FRAME_HEAD + bytes)
            break;
        take_frame(connection, head[3], head[4], head + FRAME_HEAD, bytes);
        at += FRAME_HEAD + bytes;
    }
    connection->in_count -= at;
    memmove(connection->in, connection->in + at, connection->in_count);
}

/* ---- filing ------------------------------------------------------------------------- */

static void connection_open(struct connection *connection, int port)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int yes = 1;
    uint8_t out[128];
    struct bytes bytes = {out};

    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
        die("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    put(&bytes, preface, strlen(preface));
    put_frame(&bytes, 0, FRAME_SETTINGS, 0, 0);
    put_frame(&bytes, 4, FRAME_WINDOW_UPDATE, 0, 0);
    put_u32(&bytes, WINDOW_BYTES);
    send_all(connection, out, (size_t)(bytes.at - out));
}

/* Weights of a normal distribution. */
static void fill(float *values, size_t count)
{
    uint64_t state = 88172645463325252u;

    for (size_t i = 0; i < count; i++) {
        double sum = 0;

        for (int j = 0; j < 12; j++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            sum += (double)(state >> 11) * 0x1p-53;
        }
        values[i] = (float)(0.02 * (sum - 6));
    }
}

static void serve(struct load *load, int port)
{
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[64];

    for (size_t i = 0; i < load->count; i++) {
        struct connection *connection = &load->connections[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

        *connection = (struct connection){
            .load = load, .stream = 1, .layer = i, .first = i, .step = load->step};
        connection_open(connection, port);
        if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
            die("epoll");
        call_next(connection);
    }
    while (load->open > 0) {
        int count = epoll_wait(poll, events, 64, -1);

        for (int i = 0; i < count; i++)
            receive(events[i].data.ptr);
    }
}

static void file_reports(char **words)
{
    struct load load = {.run = words[1],
                        .layers = strtoull(words[2], NULL, 10),
                        .step = strtoull(words[3], NULL, 10),
                        .steps = strtoull(words[4], NULL, 10),
                        .count = strtoul(words[5], NULL, 10)};

    if (load.count > CONNECTIONS_MAX)
        load.count = CONNECTIONS_MAX;
    if (load.count > load.layers)
        load.count = load.layers;
    load.connections = calloc(load.count + 1, sizeof(*load.connections));
    load.base = calloc(BASE_WEIGHTS, sizeof(*load.base));
    if (!load.connections || !load.base)
        die("memory");
    fill(load.base, BASE_WEIGHTS);
    double begun = now();

    serve(&load, atoi(words[0]));
    printf("{\"reports\": %" PRIu64 ", \"seconds\": %.3f, \"client_cpu\": %.3f}\n",
           load.filed, now() - begun, cpu());
    free(load.connections);
    free(load.base);
}

/* ---- flushing ----------------------------------------------------------------------- */

static void flush(const char *folder, double seconds)
{
    static uint8_t bytes[FLUSH_BYTES];
    char path[4096];
    uint64_t count = 0;

    snprintf(path, sizeof(path), "%s/flushed", folder);
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    double begun = now();

    if (fd < 0)
        die(path);
    for (; now() - begun < seconds; count++)
        if (write(fd, bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes) ||
            fdatasync(fd) != 0)
            die(path);
    printf("{\"flushes\": %" PRIu64 ", \"seconds\": %.3f}\n", count, now() - begun);
    close(fd);
    unlink(path);
}

int main(int argc, char **argv)
{
    if (argc == 8 && strcmp(argv[1], "file") == 0) {
        file_reports(argv + 2);
    } else if (argc == 4 && strcmp(argv[1], "flush") == 0) {
        flush(argv[2], strtod(argv[3], NULL));
    } else {
        fprintf(stderr,
                "usage: bench_reports file PORT RUN LAYERS STEP STEPS CONNECTIONS\n"
                "       bench_reports flush FOLDER SECONDS\n");
        return 2;
    }
    return 0;
}
