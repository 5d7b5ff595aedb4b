/* SPDX-License-Identifier: Apache-2.0 */
/* TLS against plain TCP, by libtrit: projections of 64 MiB with a dense and a packed
 * reply, and calls with 1 KiB. Rounds of both alternate, so that other load meets both.
 *
 *   bench_tls PLAIN_ADDRESS PLAIN_PID TLS_ADDRESS TLS_PID CA_FILE
 *
 * Prints one JSON object a line. Throughput is the best round's, because other load only
 * ever slows a round down. CPU seconds, of client and daemon together, are of all rounds. */
#include <trit.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    LARGE_BYTES = 64 << 20,
    SMALL_BYTES = 1024,
    ROW_ELEMENTS = 4096,
    LARGE_CALLS = 4, /* in a round */
    SMALL_CALLS = 3000,
    ROUNDS = 8,
};

static const double throughput_goal = 0.6, rate_goal = 0.7;

struct side {
    struct trit_client *client;
    long pid;        /* of the daemon */
    double best;     /* calls a second */
    double cpu_used; /* seconds, over all rounds */
};

static void die(const char *what, const struct trit_error *error)
{
    fprintf(stderr, "bench_tls: %s: %s %s\n", what, trit_status_name(error->status),
            error->message);
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

/* Of this process and the daemon. */
static double cpu(long pid)
{
    unsigned long user, kernel;
    struct rusage usage;
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    file = fopen(path, "r");
    if (!file ||
        fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &kernel) != 2) {
        perror(path);
        exit(1);
    }
    fclose(file);
    getrusage(RUSAGE_SELF, &usage);
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK) +
           seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

static struct side open_side(const char *address, const char *pid, const char *ca)
{
    struct trit_connect_options options = {
        .size = sizeof(options), .address = address, .tls_ca = ca};
    struct side side = {.pid = strtol(pid, NULL, 10)};
    struct trit_error error = TRIT_ERROR_INIT;

    if (!ca)
        options.tls = TRIT_TLS_OFF;
    if (trit_connect(&side.client, &options, &error) != TRIT_OK)
        die(address, &error);
    return side;
}

struct work {
    const char *name;
    const float *values;
    void *out;
    size_t bytes;
    enum trit_encoding encoding; /* of the reply */
    int calls;                   /* in a round */
    double goal;                 /* 0: none */
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

static void round_of(struct side *side, const struct work *work)
{
    double cpu_begun = cpu(side->pid), begun = now(), rate;

    for (int i = 0; i < work->calls; i++)
        call(side, work);
    rate = work->calls / (now() - begun);
    side->cpu_used += cpu(side->pid) - cpu_begun;
    if (rate > side->best)
        side->best = rate;
}

static void row(const char *measure, double figure, const char *unit, double goal)
{
    printf("{\"measure\": \"%s\", \"figure\": %.3f, \"unit\": \"%s\"", measure, figure,
           unit);
    if (goal > 0)
        printf(", \"goal\": \">= %.1f\", \"holds\": %s", goal,
               figure >= goal ? "true" : "false");
    printf("}\n");
    fflush(stdout);
}

static void compare(struct side sides[2], const struct work *work)
{
    char measure[96];

    sides[0].best = sides[1].best = sides[0].cpu_used = sides[1].cpu_used = 0;
    for (int i = 0; i < ROUNDS; i++)
        for (int side = 0; side < 2; side++)
            round_of(&sides[side], work);
    snprintf(measure, sizeof(measure), "%s over TLS, relative to plain TCP", work->name);
    row(measure, sides[1].best / sides[0].best, "ratio", work->goal);
    for (int side = 0; side < 2; side++) {
        snprintf(measure, sizeof(measure), "%s, CPU of client and daemon, %s", work->name,
                 side ? "TLS" : "plain");
        row(measure, sides[side].cpu_used / (ROUNDS * work->calls) * 1e6, "us/call", 0);
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
