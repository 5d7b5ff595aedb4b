/* SPDX-License-Identifier: Apache-2.0 */
/* The one byte budget for everything that a peer can make the daemon hold. Thread-safe;
 * all modules share it by reference; it never allocates. */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct budget {
    uint64_t bytes_max;
    _Atomic uint64_t bytes_used;
    _Atomic uint64_t bytes_peak;
    _Atomic uint64_t refusals; /* reservations that did not fit */
};

void budget_init(struct budget *budget, uint64_t bytes_max);

/* True: `bytes` are reserved. False: they do not fit, and nothing changed. */
bool budget_reserve(struct budget *budget, uint64_t bytes);

void budget_release(struct budget *budget, uint64_t bytes);

#endif
