/* SPDX-License-Identifier: Apache-2.0 */
/* A progress bar on standard error, if that is a terminal; otherwise nothing is drawn. A
 * signal (client/cli/interrupt.h) stops the run. */
#ifndef CLI_BAR_H
#define CLI_BAR_H

#include "drive/progress.h"

struct bar {
    struct progress progress; /* the first member */
    bool shown;
    uint64_t started_ns, drawn_ns;
};

void bar_start(struct bar *bar, uint64_t total);
/* Clears the bar's line. Call it before anything else is written to the terminal, and when
 * no thread is at work. */
void bar_stop(struct bar *bar);

#endif
