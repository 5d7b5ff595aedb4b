/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/cli/escape.h"
#include "client/cli/interrupt.h"

enum {
    BAR_COLUMNS = 30,
    FIXED_COLUMNS = BAR_COLUMNS + 24, /* brackets, percentage, rate, spaces */
};

static const uint64_t DRAW_NS =
    100 * 1000 * 1000; /* redraw ten times a second, for slow terminals */

static size_t terminal_columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

void progress_start(struct progress *progress, uint64_t total)
{
    *progress = (struct progress){.total = total, .started_ns = clock_monotonic_ns()};
    pthread_mutex_init(&progress->lock, NULL);
    progress->state = isatty(STDERR_FILENO) ? PROGRESS_SHOWN : PROGRESS_SILENT;
}

void progress_stop(struct progress *progress)
{
    if (progress->state == PROGRESS_SHOWN)
        fputs("\r\033[K", stderr);
    progress->state = PROGRESS_SILENT;
    pthread_mutex_destroy(&progress->lock);
}

/* Draws the bar if it is due; with the lock held. */
static void draw(struct progress *progress, bool due)
{
    const uint64_t now = clock_monotonic_ns();
    double share = progress->total ? (double)progress->done / (double)progress->total : 1;
    double seconds = (double)(now - progress->started_ns) / 1e9;
    size_t filled = (size_t)(share * BAR_COLUMNS), columns = terminal_columns();
    char bar[BAR_COLUMNS + 1];

    if (!due && now - progress->drawn_ns < DRAW_NS)
        return;
    progress->drawn_ns = now;
    if (filled > BAR_COLUMNS)
        filled = BAR_COLUMNS;
    memset(bar, '#', filled);
    memset(bar + filled, '.', BAR_COLUMNS - filled);
    bar[BAR_COLUMNS] = '\0';
    if (columns <= FIXED_COLUMNS)
        columns = FIXED_COLUMNS;
    fprintf(stderr, "\r[%s] %3.0f %%  %7.1f MB/s  %.*s\033[K", bar, share * 100,
            seconds > 0 ? (double)progress->done / 1e6 / seconds : 0,
            (int)(columns - FIXED_COLUMNS), progress->label);
    fflush(stderr);
}

/* ---- pieces ------------------------------------------------------------------------ */

void progress_piece_begin(struct progress_piece *piece, struct progress *progress,
                          const char *label, const atomic_bool *stopped)
{
    *piece = (struct progress_piece){.progress = progress, .stopped = stopped};
    if (progress->state == PROGRESS_SILENT)
        return;
    pthread_mutex_lock(&progress->lock);
    escape_text(progress->label, sizeof(progress->label), label);
    draw(progress, false);
    pthread_mutex_unlock(&progress->lock);
}

/* `bytes` of the piece are done now; fewer than before where a call was tried again. */
static void piece_done(struct progress_piece *piece, uint64_t bytes, bool ends)
{
    struct progress *progress = piece->progress;

    if (progress->state == PROGRESS_SILENT)
        return;
    pthread_mutex_lock(&progress->lock);
    progress->done = progress->done - piece->done + bytes;
    draw(progress, ends && progress->done >= progress->total);
    pthread_mutex_unlock(&progress->lock);
    piece->done = bytes;
}

int progress_update(void *arg, uint64_t bytes_done, uint64_t bytes_total)
{
    struct progress_piece *piece = arg;

    (void)bytes_total;
    piece_done(piece, bytes_done, false);
    return interrupt_came() || (piece->stopped && atomic_load(piece->stopped));
}

void progress_piece_end(struct progress_piece *piece, uint64_t bytes)
{
    piece_done(piece, bytes, true);
}
