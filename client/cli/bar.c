/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/bar.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/cli/interrupt.h"
#include "proto/utf8.h"

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

static void draw(struct progress *progress, bool due)
{
    struct bar *bar = (struct bar *)progress;
    const uint64_t now = clock_monotonic_ns();
    double share = progress->total ? (double)progress->done / (double)progress->total : 1;
    double seconds = (double)(now - bar->started_ns) / 1e9;
    size_t filled = (size_t)(share * BAR_COLUMNS), columns = terminal_columns();
    char bars[BAR_COLUMNS + 1], label[4 * PROGRESS_LABEL_BYTES];

    if (!bar->shown || (!due && now - bar->drawn_ns < DRAW_NS))
        return;
    bar->drawn_ns = now;
    if (filled > BAR_COLUMNS)
        filled = BAR_COLUMNS;
    memset(bars, '#', filled);
    memset(bars + filled, '.', BAR_COLUMNS - filled);
    bars[BAR_COLUMNS] = '\0';
    if (columns <= FIXED_COLUMNS)
        columns = FIXED_COLUMNS;
    utf8_show_text(label, sizeof(label), progress->label);
    fprintf(stderr, "\r[%s] %3.0f %%  %7.1f MB/s  %.*s\033[K", bars, share * 100,
            seconds > 0 ? (double)progress->done / 1e6 / seconds : 0,
            (int)(columns - FIXED_COLUMNS), label);
    fflush(stderr);
}

static int check(struct progress *progress, struct failure *failure)
{
    (void)progress;
    return interrupt_check(failure);
}

static const struct progress_ops bar_ops = {.changed = draw, .check = check};

void bar_start(struct bar *bar, uint64_t total)
{
    bar->started_ns = clock_monotonic_ns();
    bar->drawn_ns = 0;
    bar->shown = isatty(STDERR_FILENO);
    progress_init(&bar->progress, &bar_ops, total);
}

void bar_stop(struct bar *bar)
{
    if (bar->shown)
        fputs("\r\033[K", stderr);
    bar->shown = false;
    progress_fini(&bar->progress);
}
