/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/interrupt.h"

#include <stddef.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

enum { SIGNALS = sizeof(signals) / sizeof(signals[0]) };

/* A blocked signal stays pending even if it was ignored before. */
static bool is_ignored(int number)
{
    struct sigaction action;

    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void interrupt_hold(struct interrupt *interrupt)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < SIGNALS; i++)
        if (!is_ignored(signals[i]))
            sigaddset(&set, signals[i]);
    interrupt->held = sigprocmask(SIG_BLOCK, &set, &interrupt->before) == 0;
}

bool interrupt_came(void)
{
    sigset_t pending;

    if (sigpending(&pending) < 0)
        return false;
    for (size_t i = 0; i < SIGNALS; i++)
        if (sigismember(&pending, signals[i]))
            return true;
    return false;
}

int interrupt_check(struct failure *failure)
{
    return interrupt_came() ? fail(failure, TRIT_CANCELLED, NULL, "interrupted") : 0;
}

void interrupt_release(struct interrupt *interrupt)
{
    if (interrupt->held)
        sigprocmask(SIG_SETMASK, &interrupt->before, NULL);
    interrupt->held = false;
}
