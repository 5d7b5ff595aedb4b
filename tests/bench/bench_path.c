/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps of a checkpoint's way through `trit` and tritd cost where each is done
 * once, as cheaply as the system allows: CPU seconds per GB of that step's bytes. Their sum
 * bounds the rate of the whole (bench_checkpoints.py).
 *
 *   bench_path OUTPUT FILE...    prints a JSON object; the files are in page cache
 *
 * "disk" is the time, not the CPU time, until what is written is on the disk.
 */
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kernels/kernels.h"

enum {
    PIECE = 252 << 10, /* a chunk of libtrit */
    TILE = 128 << 10,  /* bf16 of a tile */
    TILES = 64,
    GROUP = 128,
    PACKED_GROUP = 34, /* bytes of a group in PQ2_0 */
    ROUNDS = 3,
    WRITE = 1 << 20,
};

static const size_t total = (size_t)600 << 20; /* bytes of a step that reads no file */

/* CLOCK_PROCESS_CPUTIME_ID: of all threads. */
static double seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void must(int holds, const char *what)
{
    if (holds)
        return;
    perror(what);
    exit(1);
}

static uint8_t *memory(size_t bytes)
{
    uint8_t *made = aligned_alloc(4096, bytes);

    must(made != NULL, "memory");
    for (size_t i = 0; i < bytes; i++)
        made[i] = (uint8_t)(i * 2654435761u >> 13);
    return made;
}

/* Weights as bf16, from 2^-7 to 2^-3: no group is odd. */
static void fill_weights(uint8_t *bytes, size_t count)
{
    uint16_t weight;

    for (size_t i = 0; i < count; i += sizeof(weight)) {
        memcpy(&weight, bytes + i, sizeof(weight));
        weight = (uint16_t)((weight & 0x81ff) | 0x3c00);
        memcpy(bytes + i, &weight, sizeof(weight));
    }
}

/* ---- the steps: each returns how many bytes it handled -------------------------------- */

struct bench {
    char **files;
    const char *output;
    uint8_t *piece, *tiles, *out, *codes;
    float *scales;
    struct group_sums *sums;
    uint32_t sink;
};

static size_t step_read(struct bench *b)
{
    size_t done = 0;

    for (char **file = b->files; *file; file++) {
        const int fd = open(*file, O_RDONLY | O_CLOEXEC);
        ssize_t got;

        must(fd >= 0, *file);
        while ((got = read(fd, b->piece, PIECE)) > 0)
            done += (size_t)got;
        close(fd);
    }
    return done;
}

static size_t step_crc(struct bench *b)
{
    for (size_t done = 0; done < total; done += PIECE)
        b->sink ^= crc32c(0, b->piece, PIECE);
    return total / PIECE * PIECE;
}

static void *receive(void *arg)
{
    uint8_t *buffer = memory(256 << 10);
    const int fd = *(const int *)arg;

    while (recv(fd, buffer, 256 << 10, 0) > 0)
        ;
    free(buffer);
    return NULL;
}

/* Both ends of a Unix socket. */
static size_t step_socket(struct bench *b)
{
    pthread_t receiver;
    int ends[2];

    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    must(pthread_create(&receiver, NULL, receive, &ends[1]) == 0, "thread");
    for (size_t done = 0; done < total; done += PIECE)
        for (size_t at = 0; at < PIECE;) {
            const ssize_t put = send(ends[0], b->piece + at, PIECE - at, 0);

            must(put > 0, "send");
            at += (size_t)put;
        }
    close(ends[0]);
    pthread_join(receiver, NULL);
    close(ends[1]);
    return total / PIECE * PIECE;
}

static size_t step_tile(struct bench *b)
{
    size_t tile = 0;

    for (size_t done = 0; done < total; done += TILE, tile = (tile + 1) % TILES)
        memcpy(b->tiles + tile * TILE, b->piece, TILE);
    return total / TILE * TILE;
}

/* `report`: with what a report and its digest need. */
static size_t project(struct bench *b, enum trit_encoding encoding, bool report)
{
    const struct kernels *kernels = kernels_select(NULL);
    struct ternary_counts counts;
    size_t tile = 0;

    for (size_t done = 0; done < total; done += TILE, tile = (tile + 1) % TILES) {
        const struct ternarize_job job = {.dtype = TRIT_BF16,
                                          .count = TILE / 2 / GROUP,
                                          .group_len = GROUP,
                                          .divisor = GROUP,
                                          .in = b->tiles + tile * TILE,
                                          .encoding = encoding,
                                          .out = b->out,
                                          .scales = b->scales,
                                          .codes = report ? b->codes : NULL,
                                          .sums = report ? b->sums : NULL,
                                          .tally = report ? TALLY_ALL : TALLY_NONE};

        ternary_counts_init(&counts);
        ternarize(kernels, &job, &counts);
    }
    return total / TILE * TILE;
}

static size_t step_project(struct bench *b)
{
    return project(b, TRIT_ENCODING_INT8, true);
}

static size_t step_pack(struct bench *b)
{
    return project(b, TRIT_ENCODING_PQ2_0, true);
}

static size_t step_pack_bare(struct bench *b)
{
    return project(b, TRIT_ENCODING_PQ2_0, false);
}

/* What a step of project left in `out`, in groups of `bytes`. */
static size_t check(struct bench *b, enum trit_encoding encoding, size_t bytes,
                    bool report)
{
    const struct kernels *kernels = kernels_select(NULL);
    const size_t each = TILE / 2 / GROUP * bytes;
    struct ternary_counts counts;
    struct ternary_check check;

    for (size_t done = 0; done < total; done += each) {
        const struct verify_job job = {.encoding = encoding,
                                       .count = TILE / 2 / GROUP,
                                       .group_len = GROUP,
                                       .tolerance = 1e-5f,
                                       .in = b->out,
                                       .in_scales = b->scales,
                                       .divisor = GROUP,
                                       .scales = b->scales + TILE / 2 / GROUP,
                                       .codes = report ? b->codes : NULL};

        ternary_counts_init(&counts);
        ternary_check_init(&check);
        verify(kernels, &job, &counts, &check);
    }
    return total / each * each;
}

/* Each checks what the step before it projected. */
static size_t step_verify(struct bench *b)
{
    return check(b, TRIT_ENCODING_INT8, GROUP, true);
}

static size_t step_check(struct bench *b)
{
    return check(b, TRIT_ENCODING_PQ2_0, PACKED_GROUP, true);
}

static size_t step_check_bare(struct bench *b)
{
    return check(b, TRIT_ENCODING_PQ2_0, PACKED_GROUP, false);
}

static size_t step_digest(struct bench *b)
{
    uint8_t digest[32];
    gnutls_hash_hd_t hash;

    must(gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) == 0, "hash");
    for (size_t done = 0; done < total; done += PIECE)
        gnutls_hash(hash, b->piece, PIECE);
    gnutls_hash_deinit(hash, digest);
    return total / PIECE * PIECE;
}

/* Into reserved space, in whole pages. */
static size_t step_write(struct bench *b)
{
    const int fd = open(b->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    must(fd >= 0, b->output);
    fallocate(fd, 0, 0, (off_t)total);
    for (size_t done = 0; done < total; done += WRITE) {
        must(pwrite(fd, b->tiles, WRITE, (off_t)done) == WRITE, "write");
        sync_file_range(fd, (off_t)done, WRITE, SYNC_FILE_RANGE_WRITE);
    }
    must(fsync(fd) == 0, "fsync");
    close(fd);
    return total;
}

/* ---- all of them ---------------------------------------------------------------------- */

static double cost(struct bench *b, size_t (*step)(struct bench *), clockid_t clock)
{
    double best = 1e9;

    for (int i = 0; i < ROUNDS; i++) {
        const double begun = seconds(clock);
        const size_t bytes = step(b);
        const double found = (seconds(clock) - begun) / ((double)bytes / 1e9);

        best = found < best ? found : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    struct bench b = {.files = argv + 2,
                      .output = argv[1],
                      .piece = memory(256 << 10),
                      .tiles = memory((size_t)TILES * TILE),
                      .out = memory(TILE),
                      .codes = memory(TILE),
                      .scales = calloc(2 * TILE / GROUP, sizeof(float)),
                      .sums = calloc(TILE / GROUP, sizeof(struct group_sums))};
    static const struct {
        const char *name;
        size_t (*run)(struct bench *);
    } steps[] = {{"read", step_read},
                 {"crc", step_crc},
                 {"socket", step_socket},
                 {"tile", step_tile},
                 {"project", step_project},
                 {"verify", step_verify},
                 {"pack", step_pack},
                 {"check", step_check},
                 {"pack without report", step_pack_bare},
                 {"check without report", step_check_bare},
                 {"digest", step_digest},
                 {"write", step_write}};

    must(argc > 2 && b.scales && b.sums, "usage: bench_path OUTPUT FILE...");
    fill_weights(b.tiles, (size_t)TILES * TILE);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        printf("%s\"%s\": %.4f", i ? ", " : "{", steps[i].name,
               cost(&b, steps[i].run, CLOCK_PROCESS_CPUTIME_ID));
    printf(", \"disk\": %.4f}\n", cost(&b, step_write, CLOCK_MONOTONIC));
    unlink(b.output);
    free(b.piece), free(b.tiles), free(b.out), free(b.codes), free(b.scales),
        free(b.sums);
    return 0;
}
