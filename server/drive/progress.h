/* SPDX-License-Identifier: Apache-2.0 */
/* How far a run over a checkpoint is, and whether it has to stop. Several threads may be
 * at work, each on a piece of its own. */
#ifndef DRIVE_PROGRESS_H
#define DRIVE_PROGRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

enum { PROGRESS_LABEL_BYTES = 128 };

struct progress;

/* What the owner of a run does with its progress. Either may be NULL. */
struct progress_ops {
    /* `done` or `label` has changed; called with the lock held. `due`: all is done. */
    void (*changed)(struct progress *progress, bool due);
    /* -1 with *failure (which may be NULL): the run has to stop. Any thread, often. */
    int (*check)(struct progress *progress, struct failure *failure);
};

struct progress {
    const struct progress_ops *ops;
    pthread_mutex_t lock;
    uint64_t total, done;             /* bytes of the input */
    uint64_t pieces;                  /* that have ended */
    uint64_t reused, reused_bytes;    /* of those: done by an earlier run */
    char label[PROGRESS_LABEL_BYTES]; /* of the piece that began last, cut */
};

void progress_init(struct progress *progress, const struct progress_ops *ops,
                   uint64_t total);
/* When no thread is at work. */
void progress_fini(struct progress *progress);

/* -1: the run has to stop. */
int progress_check(struct progress *progress, struct failure *failure);

/* A piece (a tensor or a matrix) that one thread works on. */
struct progress_piece {
    struct progress *progress;
    const atomic_bool *stopped; /* the piece's result no longer counts; or NULL */
    uint64_t done;              /* bytes of it */
    uint64_t before;            /* of them, those of calls that have ended */
};

void progress_piece_begin(struct progress_piece *piece, struct progress *progress,
                          const char *label, const atomic_bool *stopped);
/* Tells how much of the piece is done; fewer bytes than before where a call was tried
 * again. It is a trit_progress callback: other than 0 cancels the call. */
int progress_update(void *piece, uint64_t bytes_done, uint64_t bytes_total);
void progress_piece_end(struct progress_piece *piece, uint64_t bytes);
/* In its place for a piece that an earlier run did. */
void progress_piece_reused(struct progress_piece *piece, uint64_t bytes);

#endif
