/* SPDX-License-Identifier: Apache-2.0 */
/* How the bound of a stream or a unary call is made ("what the steps of a call allow").
 *
 * Raw TCP as it is, and besides only what the contract asks of every implementation, each step
 * in the cheapest form that we know:
 *
 *   crc32c     of a stream's chunks at both ends, of requests and replies, while the bytes are
 *              in cache;
 *   the kernel with what a full report needs (codes, sums, all counts), on bytes in cache;
 *   SHA-256    of all codes and of all scales, by the library;
 *   HTTP/2     of a call of 1 MiB: its header fields through nghttp2, there and back (raw_heads.h).
 *
 * Left out, because it is small: totals of the sums, the report's encoding, the gRPC prefix,
 * flow control. SHA-256 runs where it is faster: on the thread that receives, or on one of its
 * own. Each round measures both, and the faster one counts. */
#ifndef BENCH_RAW_STEPS_H
#define BENCH_RAW_STEPS_H

#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/kernels.h"

enum {
    PIECE_BYTES = 256 << 10,
    GROUP_BYTES = 512, /* of f32 */
    PIECE_GROUPS = PIECE_BYTES / GROUP_BYTES,
    PIECES_KEPT = 16,  /* codes and scales of pieces that wait for SHA-256 */
    PIECES_AT_ONCE = 8 /* for which its thread is woken */
};

/* What a connection does with a piece. */
enum raw_steps {
    STEPS_NONE,          /* the kernel alone */
    STEPS_REPORT,        /* a full report, on the thread that receives */
    STEPS_REPORT_BESIDE, /* the same with SHA-256 on a thread of its own */
    STEPS_KINDS
};

struct raw_piece {
    uint8_t codes[PIECE_BYTES / 16];
    float scales[PIECE_GROUPS];
};

struct raw_report {
    gnutls_hash_hd_t codes, scales;
    struct raw_piece pieces[PIECES_KEPT];
    struct group_sums sums[PIECE_GROUPS];
    uint64_t made, hashed; /* pieces; these and `over` under the mutex if `beside` */
    bool beside, over;
    pthread_mutex_t mutex;
    pthread_cond_t change;
    pthread_t thread;
};

static inline void raw_die(const char *why)
{
    fprintf(stderr, "raw TCP: %s\n", why);
    exit(1);
}

static inline void raw_hash(struct raw_report *report, uint64_t index)
{
    const struct raw_piece *piece = &report->pieces[index % PIECES_KEPT];

    gnutls_hash(report->codes, piece->codes, sizeof(piece->codes));
    gnutls_hash(report->scales, piece->scales, sizeof(piece->scales));
}

static inline void *raw_hash_beside(void *arg)
{
    struct raw_report *report = arg;

    pthread_mutex_lock(&report->mutex);
    for (;;) {
        while (report->hashed == report->made && !report->over)
            pthread_cond_wait(&report->change, &report->mutex);
        if (report->hashed == report->made)
            break;
        pthread_mutex_unlock(&report->mutex);
        raw_hash(report, report->hashed);
        pthread_mutex_lock(&report->mutex);
        if (++report->hashed == report->made)
            pthread_cond_signal(&report->change);
    }
    pthread_mutex_unlock(&report->mutex);
    return NULL;
}

/* NULL: no report is asked for. */
static inline struct raw_report *raw_report_begin(enum raw_steps steps)
{
    struct raw_report *report;

    if (steps == STEPS_NONE)
        return NULL;
    report = calloc(1, sizeof(*report));
    if (!report || gnutls_hash_init(&report->codes, GNUTLS_DIG_SHA256) < 0 ||
        gnutls_hash_init(&report->scales, GNUTLS_DIG_SHA256) < 0)
        raw_die("no memory");
    report->beside = steps == STEPS_REPORT_BESIDE;
    pthread_mutex_init(&report->mutex, NULL);
    pthread_cond_init(&report->change, NULL);
    if (report->beside &&
        pthread_create(&report->thread, NULL, raw_hash_beside, report) != 0)
        raw_die("cannot start a thread");
    return report;
}

/* Where the next piece's codes and scales go. */
static inline struct raw_piece *raw_report_next(struct raw_report *report)
{
    if (report->beside) {
        pthread_mutex_lock(&report->mutex);
        while (report->made - report->hashed == PIECES_KEPT)
            pthread_cond_wait(&report->change, &report->mutex);
        pthread_mutex_unlock(&report->mutex);
    }
    return &report->pieces[report->made % PIECES_KEPT];
}

/* They are there. `last`: of its call; waits for the digest. */
static inline void raw_report_made(struct raw_report *report, bool last)
{
    uint8_t digest[32];

    if (report->beside) {
        pthread_mutex_lock(&report->mutex);
        if (++report->made % PIECES_AT_ONCE == 0 || last)
            pthread_cond_signal(&report->change);
        while (last && report->hashed < report->made)
            pthread_cond_wait(&report->change, &report->mutex);
        pthread_mutex_unlock(&report->mutex);
    } else {
        raw_hash(report, report->made++);
    }
    if (last) {
        gnutls_hash_output(report->codes, digest);
        gnutls_hash_output(report->scales, digest);
    }
}

static inline void raw_report_end(struct raw_report *report)
{
    if (!report)
        return;
    if (report->beside) {
        pthread_mutex_lock(&report->mutex);
        report->over = true;
        pthread_cond_signal(&report->change);
        pthread_mutex_unlock(&report->mutex);
        pthread_join(report->thread, NULL);
    }
    gnutls_hash_deinit(report->codes, NULL);
    gnutls_hash_deinit(report->scales, NULL);
    pthread_cond_destroy(&report->change);
    pthread_mutex_destroy(&report->mutex);
    free(report);
}

#endif
