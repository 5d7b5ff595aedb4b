/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

static int64_t read_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now); /* cannot fail for the clocks below */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return (uint64_t)read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_tick_ns(void)
{
    return (uint64_t)read_ns(CLOCK_MONOTONIC_COARSE);
}

int64_t clock_unix_ns(void)
{
    return read_ns(CLOCK_REALTIME);
}
