/* SPDX-License-Identifier: Apache-2.0 */
/* What a client sees of the daemon: throughput of a large projection and the
 * rate of small ones, by libtrit.
 *
 *   bench_rpc ADDRESS STREAM_MIB >> lines
 *
 * Prints one JSON object a line: measure, figure, unit. The large tensor is
 * generated and never stored: one block of memory is mapped again and again,
 * so 4 GiB of tensor are 64 MiB of pages. */
#include <trit.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/bench/rows.h"

enum {
    BLOCK_BYTES = 64 << 20,
    ROW_ELEMENTS = 4096,
    SMALL_ROWS = 8,
    SMALL_COLUMNS = 128,
    LARGE_ROUNDS = 5,
    SMALL_ROUNDS = 9,
    THREADS_MAX = 16,
};

static const double round_seconds = 0.4;

static void die(const char *what, const struct trit_error *error)
{
    fprintf(stderr, "bench_rpc: %s: %s %s\n", what, trit_status_name(error->status),
            error->message);
    exit(1);
}

static void fill(float *values, size_t count)
{
    uint64_t state = 88172645463325252u;

    for (size_t i = 0; i < count; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        values[i] = (float)((double)(int64_t)state * 0x1p-63);
    }
}

/* `bytes` of address space over one block of pages. */
static void *mirror(size_t bytes)
{
    int fd = memfd_create("block", MFD_CLOEXEC);
    char *base = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (fd < 0 || ftruncate(fd, BLOCK_BYTES) != 0 || base == MAP_FAILED) {
        perror("bench_rpc: memory");
        exit(1);
    }
    for (size_t at = 0; at < bytes; at += BLOCK_BYTES)
        if (mmap(base + at, BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                 fd, 0) == MAP_FAILED) {
            perror("bench_rpc: mmap");
            exit(1);
        }
    close(fd);
    return base;
}

static void large(struct trit_client *client, const void *values, void *out, size_t bytes,
                  enum trit_encoding encoding)
{
    struct trit_tensor tensor = {
        .size = sizeof(tensor),
        .dtype = TRIT_F32,
        .rank = 2,
        .shape = {bytes / sizeof(float) / ROW_ELEMENTS, ROW_ELEMENTS},
        .data = values,
        .bytes = bytes};
    struct trit_project_options options = {
        .size = sizeof(options), .encoding = encoding, .out = out, .out_bytes = bytes};
    struct samples rates = {.count = 0};
    char measure[96];

    for (int round = 0; round < LARGE_ROUNDS; round++) {
        struct trit_projection projection = TRIT_PROJECTION_INIT;
        struct trit_error error = TRIT_ERROR_INIT;
        double begun = seconds_now();

        if (trit_project(client, &tensor, &options, &projection, &error) != TRIT_OK)
            die("project", &error);
        samples_add(&rates, (double)bytes / (seconds_now() - begun) * 1e-9);
        trit_projection_free(&projection);
    }
    snprintf(measure, sizeof(measure), "project stream, %s reply, %zu MiB f32",
             trit_encoding_name(encoding), bytes >> 20);
    row_print(stdout, measure, &rates, "GB/s", no_goal(), NULL);
}

struct caller {
    pthread_t thread;
    struct trit_client *client;
    double until;
    uint64_t calls;
};

static void *call_until(void *arg)
{
    struct caller *caller = arg;
    float values[SMALL_ROWS * SMALL_COLUMNS];
    struct trit_tensor tensor = {.size = sizeof(tensor),
                                 .dtype = TRIT_F32,
                                 .rank = 2,
                                 .shape = {SMALL_ROWS, SMALL_COLUMNS},
                                 .data = values,
                                 .bytes = sizeof(values)};
    struct trit_project_options options = {.size = sizeof(options),
                                           .encoding = TRIT_ENCODING_PQ2_0};

    fill(values, sizeof(values) / sizeof(values[0]));
    while (seconds_now() < caller->until) {
        struct trit_projection projection = TRIT_PROJECTION_INIT;
        struct trit_error error = TRIT_ERROR_INIT;

        if (trit_project(caller->client, &tensor, &options, &projection, &error) !=
            TRIT_OK)
            die("project", &error);
        trit_projection_free(&projection);
        caller->calls++;
    }
    return NULL;
}

/* Requests a second of one round. */
static double rate(struct trit_client *client, size_t threads)
{
    struct caller callers[THREADS_MAX] = {0};
    const double begun = seconds_now();
    uint64_t calls = 0;

    for (size_t i = 0; i < threads; i++) {
        callers[i].client = client;
        callers[i].until = begun + round_seconds;
        if (pthread_create(&callers[i].thread, NULL, call_until, &callers[i]) != 0)
            abort();
    }
    for (size_t i = 0; i < threads; i++) {
        pthread_join(callers[i].thread, NULL);
        calls += callers[i].calls;
    }
    return (double)calls / (seconds_now() - begun);
}

static void small(struct trit_client *client, size_t threads)
{
    struct samples rates = {.count = 0};
    char measure[96];

    for (int round = 0; round < SMALL_ROUNDS; round++)
        samples_add(&rates, rate(client, threads));
    snprintf(measure, sizeof(measure), "project unary, %d x %d f32, %zu concurrent",
             SMALL_ROWS, SMALL_COLUMNS, threads);
    row_print(stdout, measure, &rates, "requests/s", no_goal(), NULL);
}

int main(int argc, char **argv)
{
    size_t bytes = argc == 3 ? strtoul(argv[2], NULL, 10) << 20 : 0;
    struct trit_connect_options options = {.size = sizeof(options), .address = argv[1]};
    struct trit_client *client;
    struct trit_error error = TRIT_ERROR_INIT;
    float *values;
    void *out;

    if (bytes == 0 || bytes % BLOCK_BYTES != 0) {
        fprintf(stderr, "usage: bench_rpc ADDRESS STREAM_MIB (a multiple of %d)\n",
                BLOCK_BYTES >> 20);
        return 2;
    }
    if (trit_connect(&client, &options, &error) != TRIT_OK)
        die("connect", &error);
    values = mirror(bytes);
    fill(values, BLOCK_BYTES / sizeof(float));
    out = mirror(bytes);

    large(client, values, out, bytes, TRIT_ENCODING_PQ2_0);
    large(client, values, out, bytes, TRIT_ENCODING_DENSE);
    small(client, 1);
    small(client, 8);
    trit_close(client);
    return 0;
}
