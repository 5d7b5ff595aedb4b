/* SPDX-License-Identifier: Apache-2.0 */
/* Unary projections by libtrit against raw TCP: 64 MiB, and 1 MiB one and eight at once;
 * and the daemon's memory with eight calls of 64 MiB in flight.
 *
 *   bench_unary ADDRESS PID [ADDRESS PID]...
 *
 * Several daemons are measured in turns, to compare builds. The raw peer is the least that
 * a daemon must do: a thread a connection reads a tensor in pieces into one warm buffer,
 * packs each piece, and writes the reply at the end. It runs in this process, as the
 * clients do. Prints one JSON object a line; medians of all rounds, with quartiles. */
#include <trit.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kernels/kernels.h"

enum {
    MIB = 1 << 20,
    ROW_ELEMENTS = 4096,
    PIECE_BYTES = 256 << 10,
    GROUP_BYTES = 512, /* of f32 */
    PACKED_BYTES = 34, /* of such a group */
    CALLERS_MAX = 8,
    DAEMONS_MAX = 4,
    LARGE_MIB = 64,
    ROUNDS = 9,
};

static const double round_seconds = 0.4;
static const float *values; /* of LARGE_MIB */

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_unary: %s: %s\n", what, why);
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- the raw peer ------------------------------------------------------------- */

static bool read_all(int fd, void *to, size_t bytes)
{
    for (uint8_t *at = to; bytes > 0;) {
        ssize_t got = read(fd, at, bytes);

        if (got <= 0)
            return false;
        at += got;
        bytes -= (size_t)got;
    }
    return true;
}

static bool write_all(int fd, const void *from, size_t bytes)
{
    for (const uint8_t *at = from; bytes > 0;) {
        ssize_t put = write(fd, at, bytes);

        if (put <= 0)
            return false;
        at += put;
        bytes -= (size_t)put;
    }
    return true;
}

/* The first 4 bytes of a connection tell the size of its tensors. */
static void *serve(void *arg)
{
    const int fd = (int)(intptr_t)arg;
    uint8_t *in = aligned_alloc(64, PIECE_BYTES);
    float scales[PIECE_BYTES / GROUP_BYTES];
    struct kernels_env env;
    uint32_t bytes;

    kernels_enter(&env);
    if (!read_all(fd, &bytes, sizeof(bytes)))
        exit(1);
    uint8_t *out = malloc(bytes / GROUP_BYTES * PACKED_BYTES);

    for (uint32_t at = 0; read_all(fd, in, PIECE_BYTES); at %= bytes) {
        struct ternary_counts counts;
        const struct ternarize_job job = {
            .dtype = TRIT_F32,
            .count = PIECE_BYTES / GROUP_BYTES,
            .group_len = GROUP_BYTES / sizeof(float),
            .divisor = GROUP_BYTES / sizeof(float),
            .in = in,
            .encoding = TRIT_ENCODING_PQ2_0,
            .out = out + at / GROUP_BYTES * PACKED_BYTES,
            .scales = scales,
        };

        ternary_counts_init(&counts);
        ternarize(kernels_select(NULL), &job, &counts);
        at += PIECE_BYTES;
        if (at == bytes && !write_all(fd, out, bytes / GROUP_BYTES * PACKED_BYTES))
            break;
    }
    close(fd);
    free(in);
    free(out);
    return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), void *arg)
{
    if (pthread_create(thread, NULL, run, arg) != 0)
        die("thread", "cannot start");
}

static void *accept_all(void *arg)
{
    const int listener = (int)(intptr_t)arg;

    for (;;) {
        const int fd = accept(listener, NULL, NULL), one = 1;
        pthread_t thread;

        if (fd < 0)
            die("accept", "failed");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        start(&thread, serve, (void *)(intptr_t)fd);
        pthread_detach(thread);
    }
    return NULL;
}

static struct sockaddr_in raw_address;

static void start_raw_peer(void)
{
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t length = sizeof(raw_address);
    pthread_t thread;

    raw_address = (struct sockaddr_in){.sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&raw_address, length) != 0 ||
        getsockname(listener, (struct sockaddr *)&raw_address, &length) != 0 ||
        listen(listener, CALLERS_MAX) != 0)
        die("raw TCP", "cannot listen");
    start(&thread, accept_all, (void *)(intptr_t)listener);
    pthread_detach(thread);
}

static int raw_connect(uint32_t bytes)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, (struct sockaddr *)&raw_address, sizeof(raw_address)) != 0 ||
        !write_all(fd, &bytes, sizeof(bytes)))
        die("raw TCP", "cannot connect");
    return fd;
}

/* ---- calls ------------------------------------------------------------------------ */

struct work {
    const char *name;
    size_t bytes;
    size_t callers;
    enum trit_report_detail report;
    double goal;
};

struct caller {
    pthread_t thread;
    const struct work *work;
    struct trit_client *client; /* NULL: the raw peer */
    double until;
    uint64_t calls;
};

static void project(struct trit_client *client, const struct work *work)
{
    struct trit_tensor tensor = {
        .size = sizeof(tensor),
        .dtype = TRIT_F32,
        .rank = 2,
        .shape = {work->bytes / sizeof(float) / ROW_ELEMENTS, ROW_ELEMENTS},
        .data = values,
        .bytes = work->bytes};
    struct trit_project_options options = {
        .size = sizeof(options), .encoding = TRIT_ENCODING_PQ2_0, .report = work->report};
    struct trit_projection projection = TRIT_PROJECTION_INIT;
    struct trit_error error = TRIT_ERROR_INIT;

    if (trit_project(client, &tensor, &options, &projection, &error) != TRIT_OK)
        die("project", error.message);
    trit_projection_free(&projection);
}

static void *call_until(void *arg)
{
    struct caller *caller = arg;
    const size_t bytes = caller->work->bytes,
                 reply_bytes = bytes / GROUP_BYTES * PACKED_BYTES;
    const int fd = caller->client ? -1 : raw_connect((uint32_t)bytes);
    void *reply = malloc(reply_bytes);

    do {
        if (caller->client)
            project(caller->client, caller->work);
        else if (!write_all(fd, values, bytes) || !read_all(fd, reply, reply_bytes))
            die("raw TCP", "a call failed");
        caller->calls++;
    } while (now() < caller->until);
    free(reply);
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* GB/s of one round. */
static double rate(struct trit_client *client, const struct work *work)
{
    struct caller callers[CALLERS_MAX] = {0};
    const double begun = now();
    uint64_t calls = 0;

    for (size_t i = 0; i < work->callers; i++) {
        callers[i] = (struct caller){
            .work = work, .client = client, .until = begun + round_seconds};
        start(&callers[i].thread, call_until, &callers[i]);
    }
    for (size_t i = 0; i < work->callers; i++) {
        pthread_join(callers[i].thread, NULL);
        calls += callers[i].calls;
    }
    return (double)calls * (double)work->bytes / (now() - begun) * 1e-9;
}

/* ---- the daemons --------------------------------------------------------------------- */

struct daemon {
    struct trit_client *client;
    long pid;
    clockid_t cpu; /* of all its threads */
    double idle_kib;
};

/* A field of the daemon's status, in KiB. */
static double kib(const struct daemon *daemon, const char *field)
{
    char path[64], line[128];
    double found = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/status", daemon->pid);
    file = fopen(path, "r");
    if (!file)
        die(path, "cannot read");
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, field, strlen(field)) == 0)
            found = strtod(line + strlen(field) + 1, NULL);
    fclose(file);
    return found;
}

static struct daemon open_daemon(const char *address, const char *pid)
{
    struct trit_connect_options options = {
        .size = sizeof(options), .address = address, .stream_bytes_min = UINT64_MAX};
    struct trit_error error = TRIT_ERROR_INIT;
    struct daemon daemon = {.pid = strtol(pid, NULL, 10)};

    if (trit_connect(&daemon.client, &options, &error) != TRIT_OK)
        die(address, error.message);
    if (clock_getcpuclockid((pid_t)daemon.pid, &daemon.cpu) != 0)
        die(pid, "no such process");
    daemon.idle_kib = kib(&daemon, "VmRSS:");
    return daemon;
}

static double cpu(const struct daemon *daemon)
{
    struct timespec t;

    clock_gettime(daemon->cpu, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- rows --------------------------------------------------------------------------- */

struct samples {
    double at[ROUNDS];
};

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void row(const char *measure, size_t daemon, struct samples samples,
                const char *unit, double goal)
{
    double *at = samples.at;

    qsort(at, ROUNDS, sizeof(at[0]), by_size);
    printf("{\"measure\": \"%s", measure);
    if (daemon > 0)
        printf(", daemon %zu", daemon + 1);
    printf("\", \"figure\": %.3f, \"q1\": %.3f, \"q3\": %.3f, \"unit\": \"%s\"",
           at[ROUNDS / 2], at[ROUNDS / 4], at[ROUNDS - 1 - ROUNDS / 4], unit);
    if (goal > 0)
        printf(", \"goal\": \">= %.2f\", \"holds\": %s", goal,
               at[ROUNDS / 2] >= goal ? "true" : "false");
    printf("}\n");
    fflush(stdout);
}

static void compare(const struct daemon *daemons, size_t count, const struct work *work)
{
    struct samples ratio[DAEMONS_MAX], rates[DAEMONS_MAX], used[DAEMONS_MAX];
    char measure[128];

    for (size_t round = 0; round < ROUNDS; round++) {
        const double raw = rate(NULL, work);

        for (size_t i = 0; i < count; i++) {
            const double begun = cpu(&daemons[i]), from = now();

            rates[i].at[round] = rate(daemons[i].client, work);
            used[i].at[round] =
                (cpu(&daemons[i]) - begun) / (now() - from) / rates[i].at[round];
            ratio[i].at[round] = rates[i].at[round] / raw;
        }
    }
    for (size_t i = 0; i < count; i++) {
        snprintf(measure, sizeof(measure), "%s, relative to raw TCP", work->name);
        row(measure, i, ratio[i], "ratio", work->goal);
        row(work->name, i, rates[i], "GB/s", 0);
        snprintf(measure, sizeof(measure), "%s, CPU of the daemon", work->name);
        row(measure, i, used[i], "s/GB", 0);
    }
}

/* The peak with eight calls in flight, above idle, of the bytes in flight. */
static void memory(const struct daemon *daemons, size_t count)
{
    const struct work work = {.bytes = (size_t)LARGE_MIB * MIB, .callers = CALLERS_MAX};

    for (size_t i = 0; i < count; i++) {
        char measure[96];
        double used;

        rate(daemons[i].client, &work);
        used = (kib(&daemons[i], "VmHWM:") - daemons[i].idle_kib) /
               (CALLERS_MAX * LARGE_MIB * 1024.0);
        snprintf(measure, sizeof(measure),
                 "memory of 8 x 64 MiB in flight, above idle, of payload%s",
                 i ? ", daemon 2" : "");
        printf("{\"measure\": \"%s\", \"figure\": %.3f, \"unit\": \"ratio\", \"goal\": "
               "\"<= 0.14\", \"holds\": %s}\n",
               measure, used, used <= 0.14 ? "true" : "false");
    }
}

int main(int argc, char **argv)
{
    const struct work works[] = {
        {"project unary, 64 MiB f32, full report", (size_t)LARGE_MIB * MIB, 1,
         TRIT_REPORT_FULL, 0.85},
        {"project unary, 64 MiB f32, no report", (size_t)LARGE_MIB * MIB, 1,
         TRIT_REPORT_NONE, 0},
        {"project unary, 1 MiB f32, no report", MIB, 1, TRIT_REPORT_NONE, 0.75},
        {"project unary, 1 MiB f32, no report, 8 at once", MIB, 8, TRIT_REPORT_NONE,
         0.65},
    };
    const size_t count = (size_t)(argc - 1) / 2;
    struct daemon daemons[DAEMONS_MAX];
    float *fresh = malloc((size_t)LARGE_MIB * MIB);

    if (argc < 3 || argc % 2 == 0 || count > DAEMONS_MAX || !fresh)
        die("usage", "bench_unary ADDRESS PID [ADDRESS PID]...");
    for (size_t i = 0; i < (size_t)LARGE_MIB * MIB / sizeof(float); i++)
        fresh[i] = (float)((i * 2654435761u) % 2001) / 1000.0f - 1.0f;
    values = fresh;
    start_raw_peer();
    for (size_t i = 0; i < count; i++)
        daemons[i] = open_daemon(argv[1 + 2 * i], argv[2 + 2 * i]);
    memory(daemons, count);
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
        compare(daemons, count, &works[i]);
    for (size_t i = 0; i < count; i++)
        trit_close(daemons[i].client);
    free(fresh);
    return 0;
}
