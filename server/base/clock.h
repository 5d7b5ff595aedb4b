/* SPDX-License-Identifier: Apache-2.0 */
/* Monotonic time for deadlines and durations; wall time only to be shown. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

uint64_t clock_monotonic_ns(void);
/* The same clock as of the kernel's last tick, up to 10 ms ago; takes a fifth of the time. */
uint64_t clock_tick_ns(void);
int64_t clock_unix_ns(void);

/* A time of the system, for example a file's, in nanoseconds. */
int64_t clock_timespec_ns(const struct timespec *time);

#endif
