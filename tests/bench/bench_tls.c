/* SPDX-License-Identifier: Apache-2.0 */
/* TLS against plain TCP, by libtrit: projections of 64 MiB with a dense and a packed
 * reply, and calls with 1 KiB. Rounds of both alternate, so that other load meets both. Each
 * round also measures the cipher itself, which says what it allows at best.
 *
 *   bench_tls PLAIN_ADDRESS PLAIN_PID TLS_ADDRESS TLS_PID CA_FILE
 *
 * Prints one JSON object a line: medians of the rounds, with quartiles. CPU time is that of client
 * and daemon together. */
#include <trit.h>

#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/bench/rows.h"

enum {
    LARGE_BYTES = 64 << 20,
    SMALL_BYTES = 1024,
    ROW_ELEMENTS = 4096,
    GROUP_BYTES = 512, /* of f32, that the reply packs into PACKED_BYTES */
    PACKED_BYTES = 34,
    LARGE_CALLS = 4, /* in a round */
    SMALL_CALLS = 3000,
    ROUNDS = 9,
    RECORD_BYTES = 16 << 10,
    RECORDS = 1024, /* that each round encrypts and decrypts by themselves */
    TAG_BYTES = 16,
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

static double cpu(clockid_t clock)
{
    struct timespec used;

    clock_gettime(clock, &used);
    return (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
}

/* ---- the cipher ------------------------------------------------------------------- */

/* The cipher that TLS agrees on here, AES-128-GCM, over one record in the caches. */
struct cipher {
    gnutls_aead_cipher_hd_t handle;
    uint8_t plain[RECORD_BYTES], secret[RECORD_BYTES + TAG_BYTES];
};

static struct cipher *cipher_create(void)
{
    static const uint8_t zeros[16];
    const gnutls_datum_t key = {(unsigned char *)(uintptr_t)zeros, sizeof(zeros)};
    struct cipher *cipher = calloc(1, sizeof(*cipher));

    if (!cipher ||
        gnutls_aead_cipher_init(&cipher->handle, GNUTLS_CIPHER_AES_128_GCM, &key) < 0) {
        fprintf(stderr, "bench_tls: no cipher\n");
        exit(1);
    }
    return cipher;
}

/* Seconds of CPU time to encrypt a byte once and decrypt it once. */
static double cipher_byte_seconds(struct cipher *cipher)
{
    static const uint8_t nonce[12];
    const double begun = cpu(CLOCK_THREAD_CPUTIME_ID);
    int failed = 0;

    for (int i = 0; i < RECORDS; i++) {
        size_t secret_count = sizeof(cipher->secret), plain_count = RECORD_BYTES;

        failed |= gnutls_aead_cipher_encrypt(cipher->handle, nonce, sizeof(nonce), NULL,
                                             0, TAG_BYTES, cipher->plain, RECORD_BYTES,
                                             cipher->secret, &secret_count);
        failed |= gnutls_aead_cipher_decrypt(cipher->handle, nonce, sizeof(nonce), NULL,
                                             0, TAG_BYTES, cipher->secret, secret_count,
                                             cipher->plain, &plain_count);
    }
    if (failed) {
        fprintf(stderr, "bench_tls: the cipher failed\n");
        exit(1);
    }
    return (cpu(CLOCK_THREAD_CPUTIME_ID) - begun) / ((double)RECORDS * RECORD_BYTES);
}

static void cipher_destroy(struct cipher *cipher)
{
    gnutls_aead_cipher_deinit(cipher->handle);
    free(cipher);
}

/* ---- calls ------------------------------------------------------------------------ */

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
    size_t bytes, reply_bytes;
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

/* A call of one round: seconds on the clock, and of CPU time. */
struct cost {
    double wall, client, daemon;
};

static struct cost round_of(struct side *side, const struct work *work)
{
    const struct cost begun = {seconds_now(), cpu(CLOCK_PROCESS_CPUTIME_ID),
                               cpu(side->cpu)};

    for (int i = 0; i < work->calls; i++)
        call(side, work);
    return (struct cost){
        (seconds_now() - begun.wall) / work->calls,
        (cpu(CLOCK_PROCESS_CPUTIME_ID) - begun.client) / work->calls,
        (cpu(side->cpu) - begun.daemon) / work->calls,
    };
}

/* What is left of the rate of plain calls if each byte of request and reply passes the cipher
 * on both sides, with nothing else, and that uses the cores as well as a plain call does. */
static double bound_of(const struct cost *plain, const struct work *work,
                       double byte_seconds)
{
    const double used = plain->client + plain->daemon;

    return used / (used + byte_seconds * (double)(work->bytes + work->reply_bytes));
}

static void print_used(const struct work *work, const char *side,
                       const struct samples *used)
{
    char measure[96];

    snprintf(measure, sizeof(measure), "%s, CPU of client and daemon, %s", work->name,
             side);
    row_print(stdout, measure, used, "us/call", no_goal(), NULL);
}

static void compare(struct side sides[2], const struct work *work, struct cipher *cipher)
{
    struct samples ratios = {.count = 0}, bounds = {.count = 0}, used[2] = {{.count = 0}};
    char measure[96], bound[128];

    for (int i = 0; i < ROUNDS; i++) {
        const struct cost plain = round_of(&sides[0], work),
                          tls = round_of(&sides[1], work);
        const double byte_seconds = cipher_byte_seconds(cipher);

        samples_add(&ratios, plain.wall / tls.wall);
        samples_add(&bounds, bound_of(&plain, work, byte_seconds));
        samples_add(&used[0], (plain.client + plain.daemon) * 1e6);
        samples_add(&used[1], (tls.client + tls.daemon) * 1e6);
    }
    snprintf(measure, sizeof(measure), "%s over TLS, relative to plain TCP", work->name);
    row_print(stdout, measure, &ratios, "ratio", at_least(work->goal), NULL);
    snprintf(bound, sizeof(bound), "what AES allows: %s", measure);
    row_print(stdout, bound, &bounds, "ratio", no_goal(), NULL);
    print_used(work, "plain", &used[0]);
    print_used(work, "TLS", &used[1]);
}

int main(int argc, char **argv)
{
    struct side sides[2];
    float *values = malloc(LARGE_BYTES);
    void *out = malloc(LARGE_BYTES);
    struct cipher *cipher = cipher_create();

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
                           LARGE_BYTES, TRIT_ENCODING_DENSE, LARGE_CALLS,
                           throughput_goal},
            cipher);
    compare(sides,
            &(struct work){"project, 64 MiB f32, pq2_0 reply", values, NULL, LARGE_BYTES,
                           LARGE_BYTES / GROUP_BYTES * PACKED_BYTES, TRIT_ENCODING_PQ2_0,
                           LARGE_CALLS, throughput_goal},
            cipher);
    compare(sides,
            &(struct work){"project, 1 KiB f32", values, out, SMALL_BYTES, SMALL_BYTES,
                           TRIT_ENCODING_DENSE, SMALL_CALLS, rate_goal},
            cipher);
    cipher_destroy(cipher);
    trit_close(sides[0].client);
    trit_close(sides[1].client);
    free(values);
    free(out);
    return 0;
}
