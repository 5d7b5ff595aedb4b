/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that wait until a command has cleaned up. */
#include "client/cli/interrupt.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/check.h"

/* In a process of its own: what it ends with after `number` was raised between hold and
 * release. Its exit code is 0 where the signal was seen to wait. */
static int end_of(int number)
{
    pid_t child = fork();
    int status = -1;

    if (child == 0) {
        struct failure failure = {.status = TRIT_OK};
        struct interrupt interrupt;

        interrupt_hold(&interrupt);
        if (interrupt_came() || interrupt_check(&failure) != 0)
            _exit(2);
        raise(number);
        if (!interrupt_came() || interrupt_check(&failure) != -1 ||
            failure.status != TRIT_CANCELLED)
            _exit(3);
        interrupt_release(&interrupt);
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    return status;
}

CASE(signals_wait,
     "SIGINT, SIGTERM and SIGHUP wait while they are held, and end the process "
     "when they are released")
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const int status = end_of(numbers[i]);

        CHECK(WIFSIGNALED(status));
        CHECK_EQ(WTERMSIG(status), numbers[i]);
    }
}

CASE(ignored_signals_stay_ignored,
     "a signal that is ignored, as under nohup, is not reported")
{
    struct failure failure = {.status = TRIT_OK};
    struct interrupt interrupt;

    signal(SIGHUP, SIG_IGN);
    interrupt_hold(&interrupt);
    raise(SIGHUP);
    CHECK(!interrupt_came());
    CHECK(interrupt_check(&failure) == 0);
    interrupt_release(&interrupt);
    interrupt_release(&interrupt);
    signal(SIGHUP, SIG_DFL);
}
