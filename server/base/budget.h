/* The one byte budget from which everything that a peer can make the daemon
 * hold is granted. Thread-safe; shared by reference; never allocates. */
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

/* True when `bytes` are now reserved; false leaves the budget as it was. */
bool budget_reserve(struct budget *budget, uint64_t bytes);

void budget_release(struct budget *budget, uint64_t bytes);

#endif
