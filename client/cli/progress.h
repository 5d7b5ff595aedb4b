/* SPDX-License-Identifier: Apache-2.0 */
/* A progress bar on standard error, if that is a terminal; otherwise nothing is drawn.
 * One thread. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

struct progress {
    enum { PROGRESS_SILENT, PROGRESS_SHOWN } state;
    uint64_t total, done; /* bytes; done counts finished pieces */
    uint64_t started_ns, drawn_ns;
    const char *label; /* of the piece under way; borrowed */
};

void progress_start(struct progress *progress, uint64_t total);
/* A new piece (a tensor) begins. */
void progress_piece(struct progress *progress, const char *label);
/* Tells how much of the piece is done. It is a trit_progress callback and cancels the call
 * when a signal came (client/cli/interrupt.h). */
int progress_update(void *progress, uint64_t bytes_done, uint64_t bytes_total);
void progress_piece_done(struct progress *progress, uint64_t bytes);
/* Clears the bar's line. Call it before anything else is written to the terminal. */
void progress_stop(struct progress *progress);

#endif
