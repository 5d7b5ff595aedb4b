/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

static int64_t read_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now); /* cannot fail for the clocks below */
    return clock_timespec_ns(&now);
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

int64_t clock_timespec_ns(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}
