/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of 1 GiB by libtrit over TCP against raw TCP that projects and does nothing else; and
 * what the steps of a full report allow (raw_steps.h). Rounds of all alternate, so that other
 * load meets all.
 *
 *   bench_streams ADDRESS
 *
 * The tensor is 64 MiB of memory, mapped again and again, and so is its result. Prints one JSON
 * object a line: medians of the rounds, with quartiles. */
#include <trit.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/bench/raw_peer.h"
#include "tests/bench/rows.h"

enum { BLOCK_BYTES = 64 << 20, BLOCKS = 16, COLUMNS = 4096, ROUNDS = 9 };

static const uint64_t tensor_bytes = (uint64_t)BLOCK_BYTES * BLOCKS;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_streams: %s: %s\n", what, why);
    exit(1);
}

/* tensor_bytes of address space over one block of pages. */
static void *mirror(void)
{
    const int file = memfd_create("block", MFD_CLOEXEC);
    char *base = mmap(NULL, tensor_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (file < 0 || ftruncate(file, BLOCK_BYTES) != 0 || base == MAP_FAILED)
        die("memory", "none");
    for (uint64_t at = 0; at < tensor_bytes; at += BLOCK_BYTES)
        if (mmap(base + at, BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                 file, 0) == MAP_FAILED)
            die("memory", "cannot map");
    close(file);
    return base;
}

struct bench {
    struct trit_client *client;
    struct sockaddr_in raw;
    const float *values;
    uint8_t *out;
};

/* ---- raw TCP ----------------------------------------------------------------------------- */

struct reader {
    const struct raw_hello *hello;
    int fd;
    uint8_t *out;
};

/* With steps in parts of some 256 KiB, which are checked while they are in cache. */
static void *read_reply(void *arg)
{
    const struct reader *reader = arg;
    const uint64_t bytes = raw_reply_bytes(reader->hello, tensor_bytes);
    const uint64_t pieces = reader->hello->dense ? 1 : 16;
    const uint64_t part = reader->hello->steps == STEPS_NONE
                              ? bytes
                              : raw_reply_bytes(reader->hello, pieces * PIECE_BYTES);

    for (uint64_t at = 0; at < bytes; at += part) {
        if (!read_all(reader->fd, reader->out + at, part))
            die("raw TCP", "no reply");
        raw_check(reader->hello, reader->out + at, part);
    }
    return NULL;
}

static void send_tensor(const struct bench *bench, const struct raw_hello *hello, int fd)
{
    const uint64_t step = hello->steps == STEPS_NONE ? tensor_bytes : PIECE_BYTES;
    const uint8_t *values = (const uint8_t *)bench->values;

    for (uint64_t at = 0; at < tensor_bytes; at += step) {
        raw_check(hello, values + at, step);
        if (!write_all(fd, values + at, step))
            die("raw TCP", "cannot write");
    }
}

static double raw_seconds(const struct bench *bench, bool dense, enum raw_steps steps)
{
    const struct raw_hello hello = {
        .bytes = tensor_bytes, .stream = true, .dense = dense, .steps = steps};
    struct reader reader = {
        .hello = &hello, .fd = raw_connect(&bench->raw, &hello), .out = bench->out};
    const double begun = seconds_now();
    pthread_t thread;

    if (pthread_create(&thread, NULL, read_reply, &reader) != 0)
        die("thread", "cannot start");
    send_tensor(bench, &hello, reader.fd);
    pthread_join(thread, NULL);
    close(reader.fd);
    return seconds_now() - begun;
}

/* The faster of both ways. */
static double steps_seconds(const struct bench *bench, bool dense)
{
    const double here = raw_seconds(bench, dense, STEPS_REPORT),
                 beside = raw_seconds(bench, dense, STEPS_REPORT_BESIDE);

    return here < beside ? here : beside;
}

/* ---- the daemon -------------------------------------------------------------------------- */

static double stream_seconds(const struct bench *bench, bool dense,
                             enum trit_report_detail report)
{
    struct trit_tensor tensor = {
        .size = sizeof(tensor),
        .dtype = TRIT_F32,
        .rank = 2,
        .shape = {tensor_bytes / sizeof(float) / COLUMNS, COLUMNS},
        .data = bench->values,
        .bytes = tensor_bytes};
    struct trit_project_options options = {.size = sizeof(options),
                                           .encoding = dense ? TRIT_ENCODING_DENSE
                                                             : TRIT_ENCODING_PQ2_0,
                                           .report = report,
                                           .out = bench->out,
                                           .out_bytes = tensor_bytes};
    struct trit_projection projection = TRIT_PROJECTION_INIT;
    struct trit_report found = TRIT_REPORT_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    const double begun = seconds_now();

    projection.report = report == TRIT_REPORT_FULL ? &found : NULL;
    if (trit_project(bench->client, &tensor, &options, &projection, &error) != TRIT_OK)
        die("trit_project", error.message);
    trit_projection_free(&projection);
    return seconds_now() - begun;
}

static void compare(const struct bench *bench, bool dense, enum trit_report_detail report,
                    double goal)
{
    struct samples ratios = {.count = 0}, rates = {.count = 0}, bounds = {.count = 0};
    const char *what = dense ? "dense reply" : "pq2_0 reply",
               *detail = report == TRIT_REPORT_FULL ? "full report" : "no report";
    char measure[128], bound[192];

    stream_seconds(bench, dense, report);
    for (int round = 0; round < ROUNDS; round++) {
        const double raw = raw_seconds(bench, dense, STEPS_NONE),
                     ours = stream_seconds(bench, dense, report);

        samples_add(&ratios, raw / ours);
        samples_add(&rates, (double)tensor_bytes / ours * 1e-9);
        if (report == TRIT_REPORT_FULL)
            samples_add(&bounds, raw / steps_seconds(bench, dense));
    }
    snprintf(measure, sizeof(measure),
             "project stream over TCP, 1 GiB f32, %s, %s, relative to raw TCP", what,
             detail);
    row_print(stdout, measure, &ratios, "ratio", at_least(goal), NULL);
    if (report == TRIT_REPORT_FULL) {
        snprintf(bound, sizeof(bound), "what the steps of a stream allow: %s", measure);
        row_print(stdout, bound, &bounds, "ratio", no_goal(), NULL);
    }
    snprintf(measure, sizeof(measure), "project stream over TCP, 1 GiB f32, %s, %s", what,
             detail);
    row_print(stdout, measure, &rates, "GB/s", no_goal(), NULL);
}

int main(int argc, char **argv)
{
    struct trit_connect_options options = TRIT_CONNECT_OPTIONS_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    struct bench bench = {.values = mirror(), .out = mirror()};
    float *values = (float *)(uintptr_t)bench.values;

    if (argc != 2)
        die("usage", "bench_streams ADDRESS");
    options.address = argv[1];
    options.stream_bytes_min = 1;
    if (trit_connect(&bench.client, &options, &error) != TRIT_OK)
        die(argv[1], error.message);
    for (size_t i = 0; i < BLOCK_BYTES / sizeof(float); i++)
        values[i] = (float)((i * 2654435761u) % 2001) / 1000.0f - 1.0f;
    bench.raw = raw_start();
    compare(&bench, false, TRIT_REPORT_NONE, 0.65);
    compare(&bench, false, TRIT_REPORT_FULL, 0.55);
    compare(&bench, true, TRIT_REPORT_FULL, 0.75);
    trit_close(bench.client);
    return 0;
}
