/* SPDX-License-Identifier: Apache-2.0 */
/* Projections of memory that client and daemon share (trit_buffer_create), against the same
 * kernel on plain memory with as many threads, and the steps of a full report that the call
 * cannot do without: copy, kernel, SHA-256. Rounds of all alternate, so that other load meets
 * all.
 *
 *   bench_shared UNIX_ADDRESS
 *
 * Prints one JSON object a line. Medians of the rounds, with quartiles. */
#include <trit.h>

#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "tests/bench/rows.h"

enum { GROUP = 128, COLUMNS = 4096, THREADS = 2, ROUNDS = 15, PIECE = 256 << 10 };

static const uint64_t bytes = (uint64_t)512 << 20;

static void die(const char *what, const struct trit_error *error)
{
    fprintf(stderr, "bench_shared: %s: %s\n", what, error ? error->message : "");
    exit(1);
}

/* ---- the kernel ------------------------------------------------------------------------ */

struct part {
    const struct kernels *kernels;
    const uint8_t *in;
    uint8_t *out, *codes;
    float *scales;
    struct group_sums *sums;
    const uint8_t *shared; /* the same as `in`, in shared memory */
    uint8_t *tile;
    uint64_t begin, end; /* bytes of f32 */
    bool report, steps;
};

/* In pieces that stay in the second cache, as the daemon's tiles do. */
static void *run_part(void *arg)
{
    const struct part *part = arg;
    struct ternary_counts counts;
    gnutls_hash_hd_t hash = NULL;
    uint8_t digest[32];

    ternary_counts_init(&counts);
    if (part->steps && gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) < 0)
        die("hash", NULL);
    for (uint64_t at = part->begin; at < part->end; at += PIECE) {
        const uint64_t group = at / 4 / GROUP;
        const struct ternarize_job job = {
            .dtype = TRIT_F32,
            .count = PIECE / 4 / GROUP,
            .group_len = GROUP,
            .divisor = GROUP,
            .in = part->steps ? part->tile : part->in + at,
            .encoding = TRIT_ENCODING_PQ2_0,
            .out = part->out + group * 34,
            .scales = part->scales,
            .codes = part->report ? part->codes : NULL,
            .sums = part->report ? part->sums : NULL,
            .tally = part->report ? TALLY_ALL : TALLY_NONE,
            .ahead =
                part->steps && at + PIECE < part->end ? part->shared + at + PIECE : NULL,
        };

        if (part->steps)
            memcpy(part->tile, part->shared + at, PIECE);
        ternarize(part->kernels, &job, &counts);
        if (part->steps) {
            gnutls_hash(hash, part->codes, PIECE / 16);
            gnutls_hash(hash, part->scales, job.count * sizeof(float));
        }
    }
    if (hash)
        gnutls_hash_deinit(hash, digest);
    return NULL;
}

static double kernel_seconds(struct part parts[THREADS], bool report, bool steps)
{
    const double begun = seconds_now();
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        parts[i].report = report;
        parts[i].steps = steps;
        if (pthread_create(&threads[i], NULL, run_part, &parts[i]) != 0)
            die("thread", NULL);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return seconds_now() - begun;
}

/* ---- the daemon ------------------------------------------------------------------------ */

static double call_seconds(struct trit_client *client, const void *in, void *out,
                           bool report)
{
    struct trit_tensor tensor = {.size = sizeof(tensor),
                                 .dtype = TRIT_F32,
                                 .rank = 2,
                                 .shape = {bytes / 4 / COLUMNS, COLUMNS},
                                 .data = in,
                                 .bytes = bytes};
    struct trit_project_options options = {.size = sizeof(options),
                                           .encoding = TRIT_ENCODING_PQ2_0,
                                           .report = report ? TRIT_REPORT_FULL
                                                            : TRIT_REPORT_NONE,
                                           .out = out,
                                           .out_bytes = bytes / 4 / GROUP * 34};
    struct trit_report found = TRIT_REPORT_INIT;
    struct trit_projection projection = TRIT_PROJECTION_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    const double begun = seconds_now();

    projection.report = report ? &found : NULL;
    if (trit_project(client, &tensor, &options, &projection, &error) != TRIT_OK)
        die("trit_project", &error);
    trit_projection_free(&projection);
    return seconds_now() - begun;
}

static void print(struct trit_client *client, const struct part *first, void *shared_out,
                  struct part parts[THREADS], bool report, double goal)
{
    const char *name = report ? "full report" : "no report";
    struct samples ratios = {.count = 0}, rates = {.count = 0}, kernels = {.count = 0},
                   steps = {.count = 0};
    char measure[128], bound[160], against[32];

    call_seconds(client, first->in, shared_out, report);
    for (int i = 0; i < ROUNDS; i++) {
        const double call = call_seconds(client, first->in, shared_out, report),
                     kernel = kernel_seconds(parts, report, false);

        samples_add(&ratios, kernel / call);
        samples_add(&rates, (double)bytes / 1e9 / call);
        samples_add(&kernels, (double)bytes / 1e9 / kernel);
        if (report)
            samples_add(&steps, kernel / kernel_seconds(parts, true, true));
    }
    snprintf(
        measure, sizeof(measure),
        "project, 512 MiB f32 to pq2_0 in shared memory, %s, of its kernel, %d threads",
        name, (int)THREADS);
    snprintf(against, sizeof(against), "%.1f GB/s", samples_median(&kernels));
    row_print(stdout, measure, &ratios, "ratio", at_least(goal), against);
    if (report) {
        snprintf(bound, sizeof(bound), "what its steps allow: %s", measure);
        row_print(stdout, bound, &steps, "ratio", no_goal(), against);
    }
    snprintf(measure, sizeof(measure),
             "project, 512 MiB f32 to pq2_0 in shared memory, %s", name);
    row_print(stdout, measure, &rates, "GB/s", no_goal(), NULL);
}

static void *must_memory(size_t count)
{
    void *made = aligned_alloc(4096, count);

    if (!made)
        die("out of memory", NULL);
    memset(made, 0, count);
    return made;
}

int main(int argc, char **argv)
{
    struct trit_connect_options options = TRIT_CONNECT_OPTIONS_INIT;
    const uint64_t out_bytes = bytes / 4 / GROUP * 34;
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_buffer *buffer = NULL;
    struct trit_client *client = NULL;
    struct part parts[THREADS];
    uint8_t *in, *plain, *plain_out;
    uint32_t random = 1;

    if (argc < 2)
        die("usage: bench_shared UNIX_ADDRESS", NULL);
    options.address = argv[1];
    if (trit_connect(&client, &options, &error) != TRIT_OK ||
        trit_buffer_create(client, bytes + out_bytes, &buffer, &error) != TRIT_OK)
        die("connect", &error);
    if (!trit_buffer_is_shared(buffer))
        die("the daemon does not share memory", NULL);
    in = trit_buffer_data(buffer);
    plain = must_memory(bytes);
    plain_out = must_memory(out_bytes + 4096 - out_bytes % 4096);
    for (uint64_t i = 0; i < bytes / 4; i++) {
        random = random * 1664525u + 1013904223u;
        ((float *)(void *)plain)[i] = (float)(int32_t)random * 0x1p-31f;
    }
    memcpy(in, plain, bytes);
    for (uint64_t i = 0; i < THREADS; i++)
        parts[i] = (struct part){.kernels = kernels_select(NULL),
                                 .in = plain,
                                 .out = plain_out,
                                 .codes = must_memory(256 << 10),
                                 .scales = must_memory(256 << 10),
                                 .sums = must_memory(1 << 20),
                                 .shared = in,
                                 .tile = must_memory(PIECE),
                                 .begin = bytes / THREADS * i,
                                 .end = bytes / THREADS * (i + 1)};
    struct part first = parts[0];
    first.in = in;
    print(client, &first, in + bytes, parts, false, 0.5);
    print(client, &first, in + bytes, parts, true, 0.75);
    if (memcmp(in + bytes, plain_out, out_bytes) != 0)
        die("the results differ", NULL);
    trit_buffer_free(buffer);
    trit_close(client);
    return 0;
}
