/* SPDX-License-Identifier: Apache-2.0 */
/* Time that a test moves. Link with -Wl,--wrap=clock_monotonic_ns: the daemon's
 * monotonic clock is then the real one plus what was added here. */
#ifndef TESTS_CLOCK_H
#define TESTS_CLOCK_H

#include <stdint.h>

void clock_advance_ns(uint64_t ns);

#endif
