/* SPDX-License-Identifier: Apache-2.0 */
/* Unary projections by libtrit against raw TCP: 64 MiB, and 1 MiB one and eight at once; what
 * their steps allow (raw_steps.h); and the daemon's memory with eight calls of 64 MiB in flight.
 *
 *   bench_unary ADDRESS PID [ADDRESS PID]...
 *
 * Several daemons are measured in turns, to compare builds. Prints one JSON object a line;
 * medians of all rounds, with quartiles. */
#include <trit.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/filed_steps.h"
#include "tests/bench/raw_heads.h"
#include "tests/bench/raw_peer.h"
#include "tests/bench/rows.h"

enum {
    MIB = 1 << 20,
    ROW_ELEMENTS = 4096,
    CALLERS_MAX = CONNECTIONS_MAX,
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

static void start(pthread_t *thread, void *(*run)(void *), void *arg)
{
    if (pthread_create(thread, NULL, run, arg) != 0)
        die("thread", "cannot start");
}

static struct sockaddr_in raw_address;

/* ---- calls ------------------------------------------------------------------------ */

struct work {
    const char *name;
    size_t bytes;
    size_t callers;
    enum trit_report_detail report;
    double goal;
    bool filed; /* with a LayerRef */
};

struct caller {
    pthread_t thread;
    const struct work *work;
    struct trit_client *client; /* NULL: the raw peer, with: */
    enum raw_steps steps;
    bool heads;
    double until;
    uint64_t calls;
};

static uint64_t next_step; /* of the one caller that files reports */

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
    struct trit_layer_ref layer = TRIT_LAYER_REF_INIT;
    struct trit_projection projection = TRIT_PROJECTION_INIT;
    struct trit_error error = TRIT_ERROR_INIT;

    if (work->filed) {
        layer.run = "bench";
        layer.layer = "layer";
        layer.step = next_step++;
        options.layer = &layer;
    }
    if (trit_project(client, &tensor, &options, &projection, &error) != TRIT_OK)
        die("project", error.message);
    trit_projection_free(&projection);
}

static void *call_until(void *arg)
{
    struct caller *caller = arg;
    const size_t bytes = caller->work->bytes,
                 reply_bytes = bytes / GROUP_BYTES * PACKED_BYTES;
    const struct raw_hello hello = {.bytes = bytes, .steps = caller->steps};
    const int fd = caller->client ? -1 : raw_connect(&raw_address, &hello);
    struct raw_heads heads = {.client = NULL};
    void *reply = malloc(reply_bytes);

    if (caller->heads)
        raw_heads_init(&heads);
    do {
        if (caller->heads)
            raw_heads_call(&heads);
        if (caller->client)
            project(caller->client, caller->work);
        else if (!write_all(fd, values, bytes) || !read_all(fd, reply, reply_bytes))
            die("raw TCP", "a call failed");
        caller->calls++;
    } while (seconds_now() < caller->until);
    free(reply);
    raw_heads_fini(&heads);
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* GB/s of one round of callers like this one. */
static double rate_of(const struct caller *like)
{
    const struct work *work = like->work;
    struct caller callers[CALLERS_MAX] = {0};
    const double begun = seconds_now();
    uint64_t calls = 0;

    for (size_t i = 0; i < work->callers; i++) {
        callers[i] = *like;
        callers[i].until = begun + round_seconds;
        start(&callers[i].thread, call_until, &callers[i]);
    }
    for (size_t i = 0; i < work->callers; i++) {
        pthread_join(callers[i].thread, NULL);
        calls += callers[i].calls;
    }
    return (double)calls * (double)work->bytes / (seconds_now() - begun) * 1e-9;
}

static double rate(struct trit_client *client, const struct work *work)
{
    return rate_of(&(struct caller){.work = work, .client = client});
}

/* What the steps allow. */
static double bound_rate(const struct work *work)
{
    struct caller caller = {.work = work, .heads = work->bytes == MIB};
    double best = 0;

    for (int steps = STEPS_NONE; steps < STEPS_KINDS; steps++) {
        const bool reports = steps != STEPS_NONE;

        if (reports != (work->report == TRIT_REPORT_FULL))
            continue;
        caller.steps = (enum raw_steps)steps;
        const double found = rate_of(&caller);

        best = found > best ? found : best;
    }
    return best;
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

static void row(const char *measure, size_t daemon, const struct samples *samples,
                const char *unit, struct goal goal)
{
    char name[160];

    snprintf(name, sizeof(name), daemon > 0 ? "%s, daemon %zu" : "%s", measure,
             daemon + 1);
    row_print(stdout, name, samples, unit, goal, NULL);
}

static void compare(const struct daemon *daemons, size_t count, const struct work *work)
{
    struct samples ratio[DAEMONS_MAX] = {{.count = 0}},
                   rates[DAEMONS_MAX] = {{.count = 0}},
                   used[DAEMONS_MAX] = {{.count = 0}}, bounds = {.count = 0};
    char measure[96], bound[160];

    for (size_t round = 0; round < ROUNDS; round++) {
        const double raw = rate(NULL, work);

        if (work->goal > 0)
            samples_add(&bounds, bound_rate(work) / raw);
        for (size_t i = 0; i < count; i++) {
            const double begun = cpu(&daemons[i]), from = seconds_now();
            const double ours = rate(daemons[i].client, work);

            samples_add(&rates[i], ours);
            samples_add(&used[i],
                        (cpu(&daemons[i]) - begun) / (seconds_now() - from) / ours);
            samples_add(&ratio[i], ours / raw);
        }
    }
    for (size_t i = 0; i < count; i++) {
        snprintf(measure, sizeof(measure), "%s, relative to raw TCP", work->name);
        row(measure, i, &ratio[i], "ratio",
            work->goal > 0 ? at_least(work->goal) : no_goal());
        if (work->goal > 0 && i == 0) {
            snprintf(bound, sizeof(bound), "what the steps of a call allow: %s", measure);
            row(bound, i, &bounds, "ratio", no_goal());
        }
        row(work->name, i, &rates[i], "GB/s", no_goal());
        snprintf(measure, sizeof(measure), "%s, CPU of the daemon", work->name);
        row(measure, i, &used[i], "s/GB", no_goal());
    }
}

/* GB/s of calls that are not filed, with the steps of filing beside and after each. */
static double steps_rate(struct trit_client *client, const struct work *work,
                         struct filed_steps *steps)
{
    const double begun = seconds_now();
    uint64_t calls = 0;

    do {
        pthread_t beside;

        start(&beside, filed_beside, steps);
        project(client, work);
        pthread_join(beside, NULL);
        filed_after(steps);
        calls++;
    } while (seconds_now() < begun + round_seconds);
    if (steps->failed)
        die("the steps of filing", "cannot write");
    return (double)calls * (double)work->bytes / (seconds_now() - begun) * 1e-9;
}

/* A call whose report is filed, against the same call without a LayerRef; and what the steps of
 * filing allow. */
static void compare_filed(const struct daemon *daemons, size_t count)
{
    static const char measure[] = "project unary, 64 MiB f32, full report, filed under a "
                                  "layer, relative to not filed";
    struct work work = {
        .bytes = (size_t)LARGE_MIB * MIB, .callers = 1, .report = TRIT_REPORT_FULL};
    struct filed_steps steps;
    char bound[160];

    if (!filed_open(&steps, work.bytes))
        die("the steps of filing", "no file for them");
    snprintf(bound, sizeof(bound), "what its steps allow: %s", measure);
    for (size_t i = 0; i < count; i++) {
        struct samples ratio = {.count = 0}, bounds = {.count = 0};

        next_step = 0;
        for (size_t round = 0; round < ROUNDS; round++) {
            work.filed = false;
            const double without = rate(daemons[i].client, &work);

            samples_add(&bounds, steps_rate(daemons[i].client, &work, &steps) / without);
            work.filed = true;
            samples_add(&ratio, rate(daemons[i].client, &work) / without);
        }
        row(measure, i, &ratio, "ratio", at_least(0.9));
        row(bound, i, &bounds, "ratio", no_goal());
    }
    filed_close(&steps);
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
         TRIT_REPORT_FULL, 0.85, false},
        {"project unary, 64 MiB f32, no report", (size_t)LARGE_MIB * MIB, 1,
         TRIT_REPORT_NONE, 0, false},
        {"project unary, 1 MiB f32, no report", MIB, 1, TRIT_REPORT_NONE, 0.75, false},
        {"project unary, 1 MiB f32, no report, 8 at once", MIB, 8, TRIT_REPORT_NONE, 0.65,
         false},
    };
    const size_t count = (size_t)(argc - 1) / 2;
    struct daemon daemons[DAEMONS_MAX];
    float *fresh = malloc((size_t)LARGE_MIB * MIB);

    if (argc < 3 || argc % 2 == 0 || count > DAEMONS_MAX || !fresh)
        die("usage", "bench_unary ADDRESS PID [ADDRESS PID]...");
    for (size_t i = 0; i < (size_t)LARGE_MIB * MIB / sizeof(float); i++)
        fresh[i] = (float)((i * 2654435761u) % 2001) / 1000.0f - 1.0f;
    values = fresh;
    raw_address = raw_start();
    for (size_t i = 0; i < count; i++)
        daemons[i] = open_daemon(argv[1 + 2 * i], argv[2 + 2 * i]);
    memory(daemons, count);
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
        compare(daemons, count, &works[i]);
    compare_filed(daemons, count);
    for (size_t i = 0; i < count; i++)
        trit_close(daemons[i].client);
    free(fresh);
    return 0;
}
