/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/clock.h"

#include <stdatomic.h>

static _Atomic uint64_t ahead_ns;

uint64_t __real_clock_monotonic_ns(void);
uint64_t __wrap_clock_monotonic_ns(void);

uint64_t __wrap_clock_monotonic_ns(void)
{
    return __real_clock_monotonic_ns() + atomic_load(&ahead_ns);
}

void clock_advance_ns(uint64_t ns)
{
    atomic_fetch_add(&ahead_ns, ns);
}
