/* SPDX-License-Identifier: Apache-2.0 */
/* TLS against plain TCP, by libtrit: projections of 64 MiB with a dense and a packed
 * reply, and calls with 1 KiB. Rounds of both alternate, so that other load meets both.
 *
 *   bench_tls PLAIN_ADDRESS PLAIN_PID TLS_ADDRESS TLS_PID CA_FILE
 *
 * Prints one JSON object a line: medians of the rounds, with quartiles. CPU time is that of client
 * and daemon together. */
#include <trit.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/bench/rows.h"

enum {
    LARGE_BYTES = 64 << 20,
    SMALL_BYTES = 1024,
    ROW_ELEMENTS = 4096,
    LARGE_CALLS = 4, /* in a round */
    SMALL_CALLS = 3000,
    ROUNDS = 9,
};

static const double throughput_goal = 0.6, rate_goal = 0.7;

struct side {
    struct trit_client *client;
    clockid_t cpu; /* of the daemon */
};

static void die(const char *what, const struct trit_error *error)
{
    fprintf(stderr, "bench_tls: %s: %s %s\n", what, trit_status_name(error->status),
            error->message);
    exit(1);
}

/* Of this process and the daemon. */
static double cpu(clockid_t daemon)
{
    struct timespec ours, theirs;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ours);
    clock_gettime(daemon, &theirs);
    return (double)(ours.tv_sec + theirs.tv_sec) +
           (double)(ours.tv_nsec + theirs.tv_nsec) * 1e-9;
}

static struct side open_side(const char *address, const char *pid, const char *ca)
{
    struct trit_connect_options options = {
        .size = sizeof(options), .address = address, .tls_ca = ca};
    struct side side = {0};
    struct trit_error error = TRIT_ERROR_INIT;

    if (!ca)
        options.tls = TRIT_TLS_OFF;
    if (trit_connect(&side.client, &options, &error) != TRIT_OK)
        die(address, &error);
    if (clock_getcpuclockid((pid_t)strtol(pid, NULL, 10), &side.cpu) != 0) {
        fprintf(stderr, "bench_tls: %s: no such process\n", pid);
        exit(1);
    }
    return side;
}

struct work {
    const char *name;
    const float *values;
    void *out;
    size_t bytes;
    enum trit_encoding encoding; /* of the reply */
    int calls;                   /* in a round */
    double goal;
};

static void call(struct side *side, const struct work *work)
{
    const size_t bytes = work->bytes;
    const size_t row = bytes < ROW_ELEMENTS ? bytes / sizeof(float) : ROW_ELEMENTS;
    struct trit_tensor tensor = {.size = sizeof(tensor),
                                 .dtype = TRIT_F32,
                                 .rank = 2,
                                 .shape = {bytes / sizeof(float) / row, row},
                                 .data = work->values,
                                 .bytes = bytes};
    struct trit_project_options options = {.size = sizeof(options),
                                           .encoding = work->encoding};
    struct trit_projection projection = TRIT_PROJECTION_INIT;
    struct trit_error error = TRIT_ERROR_INIT;

    if (work->encoding == TRIT_ENCODING_DENSE) {
        options.out = work->out;
        options.out_bytes = bytes;
    }
    if (trit_project(side->client, &tensor, &options, &projection, &error) != TRIT_OK)
        die("project", &error);
    trit_projection_free(&projection);
}

/* Seconds and microseconds of CPU time for a call, of one round. */
static double round_of(struct side *side, const struct work *work, struct samples *used)
{
    const double cpu_begun = cpu(side->cpu), begun = seconds_now();

    for (int i = 0; i < work->calls; i++)
        call(side, work);
    const double spent = seconds_now() - begun;

    samples_add(used, (cpu(side->cpu) - cpu_begun) / work->calls * 1e6);
    return spent / work->calls;
}

static void compare(struct side sides[2], const struct work *work)
{
    struct samples ratios = {.count = 0}, used[2] = {{.count = 0}};
    char measure[96];

    for (int i = 0; i < ROUNDS; i++) {
        const double plain = round_of(&sides[0], work, &used[0]);

        samples_add(&ratios, plain / round_of(&sides[1], work, &used[1]));
    }
    snprintf(measure, sizeof(measure), "%s over TLS, relative to plain TCP", work->name);
    row_print(stdout, measure, &ratios, "ratio", at_least(work->goal), NULL);
    for (int side = 0; side < 2; side++) {
        snprintf(measure, sizeof(measure), "%s, CPU of client and daemon, %s", work->name,
                 side ? "TLS" : "plain");
        row_print(stdout, measure, &used[side], "us/call", no_goal(), NULL);
    }
}

int main(int argc, char **argv)
{
    struct side sides[2];
    float *values = malloc(LARGE_BYTES);
    void *out = malloc(LARGE_BYTES);

    if (argc != 6 || !values || !out) {
        fprintf(stderr,
                "usage: bench_tls PLAIN_ADDRESS PLAIN_PID TLS_ADDRESS TLS_PID CA\n");
        return 2;
    }
    for (size_t i = 0; i < LARGE_BYTES / sizeof(float); i++)
        values[i] = (float)((i * 2654435761u) % 2001) / 1000.0f - 1.0f;
    sides[0] = open_side(argv[1], argv[2], NULL);
    sides[1] = open_side(argv[3], argv[4], argv[5]);
    compare(sides,
            &(struct work){"project, 64 MiB f32, dense reply", values, out, LARGE_BYTES,
                           TRIT_ENCODING_DENSE, LARGE_CALLS, throughput_goal});
    compare(sides,
            &(struct work){"project, 64 MiB f32, pq2_0 reply", values, NULL, LARGE_BYTES,
                           TRIT_ENCODING_PQ2_0, LARGE_CALLS, throughput_goal});
    compare(sides, &(struct work){"project, 1 KiB f32", values, out, SMALL_BYTES,
                                  TRIT_ENCODING_DENSE, SMALL_CALLS, rate_goal});
    trit_close(sides[0].client);
    trit_close(sides[1].client);
    free(values);
    free(out);
    return 0;
}
