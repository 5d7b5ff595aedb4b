/* SPDX-License-Identifier: Apache-2.0 */
#include "base/budget.h"

#include <assert.h>

/* No counter orders accesses to other memory, so relaxed order is enough. */

void budget_init(struct budget *budget, uint64_t bytes_max)
{
    budget->bytes_max = bytes_max;
    atomic_init(&budget->bytes_used, 0);
    atomic_init(&budget->bytes_peak, 0);
    atomic_init(&budget->refusals, 0);
}

static void raise_peak(struct budget *budget, uint64_t used)
{
    uint64_t peak = atomic_load_explicit(&budget->bytes_peak, memory_order_relaxed);

    while (peak < used && !atomic_compare_exchange_weak_explicit(
                              &budget->bytes_peak, &peak, used, memory_order_relaxed,
                              memory_order_relaxed))
        ;
}

bool budget_reserve(struct budget *budget, uint64_t bytes)
{
    uint64_t used = atomic_load_explicit(&budget->bytes_used, memory_order_relaxed);

    do {
        if (bytes > budget->bytes_max - used) {
            atomic_fetch_add_explicit(&budget->refusals, 1, memory_order_relaxed);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&budget->bytes_used, &used,
                                                    used + bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    raise_peak(budget, used + bytes);
    return true;
}

void budget_release(struct budget *budget, uint64_t bytes)
{
    uint64_t before =
        atomic_fetch_sub_explicit(&budget->bytes_used, bytes, memory_order_relaxed);

    assert(before >= bytes);
    (void)before;
}
