/* SPDX-License-Identifier: Apache-2.0 */
/* SIGINT, SIGTERM and SIGHUP while an output is written. They wait until the command has
 * removed what it wrote, and end the process then. Signals that are ignored (nohup) stay
 * ignored. Threads must be created while the signals are held, or not at all. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

#include "base/status.h"

struct interrupt {
    bool held;
    sigset_t before; /* the signal mask that interrupt_release restores */
};

void interrupt_hold(struct interrupt *interrupt);

/* One of the signals came while they were held. Call it ten times a second or more. */
bool interrupt_came(void);

/* CANCELLED if one came. */
int interrupt_check(struct failure *failure);

/* A signal that came ends the process here. Harmless if they are not held. */
void interrupt_release(struct interrupt *interrupt);

#endif
