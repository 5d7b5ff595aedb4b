/* SPDX-License-Identifier: Apache-2.0 */
/* Raw TCP, to compare the daemon with: the least that a server must do. A thread a connection
 * reads a tensor of f32 in pieces into one warm buffer and projects each piece. It writes the
 * reply at the end, or, as a stream, a part after each piece. Server and clients are in one
 * process. With steps it is the bound of a row (raw_steps.h). */
#ifndef BENCH_RAW_PEER_H
#define BENCH_RAW_PEER_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/raw_steps.h"

enum {
    PACKED_BYTES = 34, /* of a group */
    CONNECTIONS_MAX = 8,
};

/* What a connection sends first. */
struct raw_hello {
    uint64_t bytes; /* of a tensor: whole pieces */
    bool stream, dense;
    enum raw_steps steps;
};

static inline bool read_all(int fd, void *to, size_t bytes)
{
    for (uint8_t *at = to; bytes > 0;) {
        const ssize_t got = read(fd, at, bytes);

        if (got <= 0)
            return false;
        at += got;
        bytes -= (size_t)got;
    }
    return true;
}

static inline bool write_all(int fd, const void *from, size_t bytes)
{
    for (const uint8_t *at = from; bytes > 0;) {
        const ssize_t put = write(fd, at, bytes);

        if (put <= 0)
            return false;
        at += put;
        bytes -= (size_t)put;
    }
    return true;
}

/* The bytes of the reply to that many of a tensor. */
static inline uint64_t raw_reply_bytes(const struct raw_hello *hello, uint64_t bytes)
{
    return hello->dense ? bytes : bytes / GROUP_BYTES * PACKED_BYTES;
}

/* The next piece, which ends at `end` of its tensor. */
static inline void raw_project(const struct raw_hello *hello, struct raw_report *report,
                               uint64_t end, const uint8_t *in, uint8_t *out)
{
    float scales[PIECE_GROUPS];
    struct ternary_counts counts;
    struct raw_piece *piece = report ? raw_report_next(report) : NULL;
    const struct ternarize_job job = {
        .dtype = TRIT_F32,
        .count = PIECE_GROUPS,
        .group_len = GROUP_BYTES / sizeof(float),
        .divisor = GROUP_BYTES / sizeof(float),
        .in = in,
        .encoding = hello->dense ? TRIT_ENCODING_DENSE : TRIT_ENCODING_PQ2_0,
        .out = out,
        .scales = piece ? piece->scales : scales,
        .codes = piece ? piece->codes : NULL,
        .sums = report ? report->sums : NULL,
        .tally = report ? TALLY_ALL : TALLY_NONE,
    };

    ternary_counts_init(&counts);
    ternarize(kernels_select(NULL), &job, &counts);
    if (report)
        raw_report_made(report, end == hello->bytes);
}

/* A stream's chunk, at either end. */
static inline void raw_check(const struct raw_hello *hello, const void *bytes,
                             size_t count)
{
    if (hello->stream && hello->steps != STEPS_NONE) {
        volatile uint32_t sum = crc32c(0, bytes, count); /* volatile: it is computed */

        (void)sum;
    }
}

static inline void *raw_serve(void *arg)
{
    const int fd = (int)(intptr_t)arg;
    uint8_t *in = aligned_alloc(64, PIECE_BYTES);
    struct kernels_env env;
    struct raw_hello hello;

    kernels_enter(&env);
    if (!in || !read_all(fd, &hello, sizeof(hello)))
        raw_die("no hello");
    const uint64_t part = raw_reply_bytes(&hello, PIECE_BYTES);
    const uint64_t kept = hello.stream ? part : raw_reply_bytes(&hello, hello.bytes);
    uint8_t *out = aligned_alloc(64, (kept + 63) / 64 * 64);
    struct raw_report *report = raw_report_begin(hello.steps);

    if (!out)
        raw_die("no memory");
    for (uint64_t at = 0; read_all(fd, in, PIECE_BYTES); at %= hello.bytes) {
        uint8_t *to = out + (hello.stream ? 0 : raw_reply_bytes(&hello, at));

        at += PIECE_BYTES;
        raw_check(&hello, in, PIECE_BYTES);
        raw_project(&hello, report, at, in, to);
        raw_check(&hello, to, part);
        if ((hello.stream || at == hello.bytes) && !write_all(fd, out, kept))
            break;
    }
    raw_report_end(report);
    kernels_leave(&env);
    close(fd);
    free(in);
    free(out);
    return NULL;
}

static inline void *raw_accept(void *arg)
{
    const int listener = (int)(intptr_t)arg, one = 1;

    for (;;) {
        const int fd = accept(listener, NULL, NULL);
        pthread_t thread;

        if (fd < 0)
            raw_die("accept failed");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (pthread_create(&thread, NULL, raw_serve, (void *)(intptr_t)fd) != 0)
            raw_die("cannot start a thread");
        pthread_detach(thread);
    }
    return NULL;
}

/* Starts it and returns where it listens. It ends with the process. */
static inline struct sockaddr_in raw_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t length = sizeof(address);
    pthread_t thread;

    if (bind(listener, (struct sockaddr *)&address, length) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0 ||
        listen(listener, CONNECTIONS_MAX) != 0 ||
        pthread_create(&thread, NULL, raw_accept, (void *)(intptr_t)listener) != 0)
        raw_die("cannot listen");
    pthread_detach(thread);
    return address;
}

static inline int raw_connect(const struct sockaddr_in *address,
                              const struct raw_hello *hello)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 ||
        !write_all(fd, hello, sizeof(*hello)))
        raw_die("cannot connect");
    return fd;
}

#endif
