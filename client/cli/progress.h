/* SPDX-License-Identifier: Apache-2.0 */
/* A progress bar on standard error, if that is a terminal; otherwise nothing is drawn.
 * Several threads may be at work, each on a piece of its own. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { PROGRESS_LABEL_BYTES = 128 };

struct progress {
    enum { PROGRESS_SILENT, PROGRESS_SHOWN } state;
    pthread_mutex_t lock;
    uint64_t total, done; /* bytes */
    uint64_t started_ns, drawn_ns;
    char label[PROGRESS_LABEL_BYTES]; /* of the piece that began last, escaped */
};

void progress_start(struct progress *progress, uint64_t total);
/* Clears the bar's line. Call it before anything else is written to the terminal, and when
 * no thread is at work. */
void progress_stop(struct progress *progress);

/* A piece (a tensor) that one thread works on. */
struct progress_piece {
    struct progress *progress;
    const atomic_bool *stopped; /* cancels the piece's calls; or NULL */
    uint64_t done;              /* bytes of it */
};

void progress_piece_begin(struct progress_piece *piece, struct progress *progress,
                          const char *label, const atomic_bool *stopped);
/* Tells how much of the piece is done. It is a trit_progress callback and cancels the call
 * when a signal came (client/cli/interrupt.h). */
int progress_update(void *piece, uint64_t bytes_done, uint64_t bytes_total);
void progress_piece_end(struct progress_piece *piece, uint64_t bytes);

#endif
