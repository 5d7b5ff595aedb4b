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
    LABEL_BYTES = 128,
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
    progress->state = isatty(STDERR_FILENO) ? PROGRESS_SHOWN : PROGRESS_SILENT;
}

static void draw(struct progress *progress, uint64_t done)
{
    double share = progress->total ? (double)done / (double)progress->total : 1;
    double seconds = (double)(clock_monotonic_ns() - progress->started_ns) / 1e9;
    size_t filled = (size_t)(share * BAR_COLUMNS), columns = terminal_columns();
    char bar[BAR_COLUMNS + 1], label[LABEL_BYTES];

    if (filled > BAR_COLUMNS)
        filled = BAR_COLUMNS;
    memset(bar, '#', filled);
    memset(bar + filled, '.', BAR_COLUMNS - filled);
    bar[BAR_COLUMNS] = '\0';
    escape_text(label, sizeof(label), progress->label ? progress->label : "");
    if (columns <= FIXED_COLUMNS)
        columns = FIXED_COLUMNS;
    fprintf(stderr, "\r[%s] %3.0f %%  %7.1f MB/s  %.*s\033[K", bar, share * 100,
            seconds > 0 ? (double)done / 1e6 / seconds : 0,
            (int)(columns - FIXED_COLUMNS), label);
    fflush(stderr);
}

void progress_piece(struct progress *progress, const char *label)
{
    progress->label = label;
    progress_update(progress, 0, 0);
}

int progress_update(void *arg, uint64_t bytes_done, uint64_t bytes_total)
{
    struct progress *progress = arg;
    uint64_t now;

    (void)bytes_total;
    if (interrupt_came())
        return -1;
    if (progress->state == PROGRESS_SILENT)
        return 0;
    now = clock_monotonic_ns();
    if (now - progress->drawn_ns < DRAW_NS)
        return 0;
    progress->drawn_ns = now;
    draw(progress, progress->done + bytes_done);
    return 0;
}

void progress_piece_done(struct progress *progress, uint64_t bytes)
{
    progress->done += bytes;
    if (progress->state == PROGRESS_SHOWN && progress->done >= progress->total)
        draw(progress, progress->done);
}

void progress_stop(struct progress *progress)
{
    if (progress->state == PROGRESS_SHOWN)
        fputs("\r\033[K", stderr);
    progress->state = PROGRESS_SILENT;
}
