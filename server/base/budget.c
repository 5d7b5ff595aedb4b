/* SPDX-License-Identifier: Apache-2.0 */
#include "base/budget.h"

#include <assert.h>
#include <stddef.h>

/* No counter orders accesses to other memory, so relaxed order is enough. */

void budget_init(struct budget *budget, uint64_t bytes_max)
{
    budget->bytes_max = bytes_max;
    budget->bytes_last = 0;
    atomic_init(&budget->bytes_high, 0);
    budget->fell = NULL;
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

void budget_keep_last(struct budget *budget, uint64_t bytes)
{
    assert(bytes <= budget->bytes_max);
    budget->bytes_last = bytes;
}

static bool reserve_up_to(struct budget *budget, uint64_t bytes_max, uint64_t bytes)
{
    uint64_t used = atomic_load_explicit(&budget->bytes_used, memory_order_relaxed);

    do {
        if (used > bytes_max || bytes > bytes_max - used) {
            atomic_fetch_add_explicit(&budget->refusals, 1, memory_order_relaxed);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&budget->bytes_used, &used,
                                                    used + bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    raise_peak(budget, used + bytes);
    return true;
}

bool budget_reserve(struct budget *budget, uint64_t bytes)
{
    return reserve_up_to(budget, budget->bytes_max - budget->bytes_last, bytes);
}

bool budget_reserve_last(struct budget *budget, uint64_t bytes)
{
    return reserve_up_to(budget, budget->bytes_max, bytes);
}

void budget_charge(struct budget *budget, uint64_t bytes)
{
    uint64_t before =
        atomic_fetch_add_explicit(&budget->bytes_used, bytes, memory_order_relaxed);

    raise_peak(budget, before + bytes);
}

uint64_t budget_free(const struct budget *budget)
{
    uint64_t used = atomic_load_explicit(&budget->bytes_used, memory_order_relaxed);
    uint64_t max = budget->bytes_max - budget->bytes_last;

    return used < max ? max - used : 0;
}

void budget_release(struct budget *budget, uint64_t bytes)
{
    uint64_t before =
        atomic_fetch_sub_explicit(&budget->bytes_used, bytes, memory_order_relaxed);
    uint64_t high;

    assert(before >= bytes);
    if (!budget->fell)
        return;
    high = atomic_load_explicit(&budget->bytes_high, memory_order_relaxed);
    if (before > high) {
        atomic_store_explicit(&budget->bytes_high, before, memory_order_relaxed);
        high = before;
    }
    if (high > BUDGET_FALL_BYTES && before - bytes < high / 2 &&
        atomic_compare_exchange_strong_explicit(&budget->bytes_high, &high,
                                                before - bytes, memory_order_relaxed,
                                                memory_order_relaxed))
        budget->fell(budget->fell_arg);
}

void budget_on_fall(struct budget *budget, void (*fell)(void *arg), void *arg)
{
    budget->fell = fell;
    budget->fell_arg = arg;
}
