/* SPDX-License-Identifier: Apache-2.0 */
#include "base/account.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/budget.h"

enum {
    CHUNK_HEAD_BYTES = sizeof(size_t), /* glibc's, in front of each allocation */
    /* Reserved above the size asked for; the surplus is released when the allocator's
     * size is known. */
    CHUNK_SLACK_BYTES = 64,
};

struct account *account_open(struct budget *budget, struct account *parent)
{
    struct account *account = calloc(1, sizeof(*account));

    if (!account)
        return NULL;
    account->budget = budget;
    account->parent = parent;
    account->times_free =
        parent ? ACCOUNT_CONNECTION_TIMES_FREE : ACCOUNT_ADDRESS_TIMES_FREE;
    return account;
}

static void free_if_done(struct account *account)
{
    if (account->closed && account->bytes_used == 0)
        free(account);
}

void account_close(struct account *account)
{
    if (!account)
        return;
    account->closed = true;
    free_if_done(account);
}

bool account_is_small(const struct account *account, uint64_t bytes)
{
    return account && account->parent &&
           account->bytes_used + bytes <= ACCOUNT_SMALL_BYTES;
}

bool account_has_room(const struct account *account, uint64_t bytes)
{
    uint64_t left, kept;

    if (!account)
        return true;
    left = budget_free(account->budget);
    if (bytes > left)
        return false;
    if (account_is_small(account, bytes))
        return account->bytes_used + bytes <= ACCOUNT_TINY_BYTES ||
               left - bytes >= account->budget->bytes_max / ACCOUNT_TINY_DIVISOR;
    kept = account->budget->bytes_max / ACCOUNT_SMALL_DIVISOR + bytes;
    for (; account; account = account->parent)
        if (left < kept ||
            (account->bytes_used + bytes) / account->times_free > left - kept)
            return false;
    return true;
}

void account_hold(struct account *account, uint64_t bytes)
{
    for (; account; account = account->parent)
        account->bytes_used += bytes;
}

void account_drop(struct account *account, uint64_t bytes)
{
    while (account) {
        struct account *parent = account->parent;

        assert(account->bytes_used >= bytes);
        account->bytes_used -= bytes;
        free_if_done(account);
        account = parent;
    }
}

bool account_reserve(struct account *account, uint64_t bytes)
{
    if (!account)
        return true;
    if (!account_has_room(account, bytes) || !budget_reserve(account->budget, bytes)) {
        account->refusals++;
        return false;
    }
    account_hold(account, bytes);
    return true;
}

bool account_reserve_last(struct account *account, uint64_t bytes)
{
    if (!account)
        return true;
    if (!budget_reserve_last(account->budget, bytes)) {
        account->refusals++;
        return false;
    }
    account_hold(account, bytes);
    return true;
}

bool account_is_last_short(const struct account *account)
{
    const struct budget *budget;

    if (!account)
        return false;
    budget = account->budget;
    return atomic_load_explicit(&budget->bytes_used, memory_order_relaxed) >
           budget->bytes_max - budget->bytes_last / 2;
}

void account_release(struct account *account, uint64_t bytes)
{
    if (!account || bytes == 0)
        return;
    budget_release(account->budget, bytes);
    account_drop(account, bytes);
}

/* ---- memory ------------------------------------------------------------------------ */

typedef bool reserve_function(struct account *account, uint64_t bytes);

static uint64_t charge_of(void *memory)
{
    return memory ? malloc_usable_size(memory) + CHUNK_HEAD_BYTES : 0;
}

/* `reserved` bytes are reserved for `memory`: corrects them to its charge. The difference
 * is a rounding, so it is not refused. */
static void *settle(struct account *account, void *memory, uint64_t reserved)
{
    const uint64_t charge = charge_of(memory);

    if (charge > reserved) {
        budget_charge(account->budget, charge - reserved);
        account_hold(account, charge - reserved);
    } else {
        account_release(account, reserved - charge);
    }
    return memory;
}

static void *allocate(struct account *account, size_t bytes, bool zeroed,
                      reserve_function *reserve)
{
    void *memory;
    uint64_t charge;

    if (account && bytes > account->budget->bytes_max)
        return NULL;
    memory = zeroed ? calloc(1, bytes) : malloc(bytes);
    if (!account || !memory)
        return memory;
    charge = charge_of(memory); /* known only now */
    if (reserve(account, charge))
        return memory;
    free(memory);
    return NULL;
}

static void *allocate_many(struct account *account, size_t count, size_t bytes,
                           reserve_function *reserve)
{
    size_t total;

    if (__builtin_mul_overflow(count, bytes, &total))
        return NULL;
    return allocate(account, total, true, reserve);
}

static void *reallocate(struct account *account, void *memory, size_t bytes,
                        reserve_function *reserve)
{
    const uint64_t before = charge_of(memory);
    uint64_t more;
    void *moved;

    if (!account)
        return realloc(memory, bytes);
    if (bytes > PTRDIFF_MAX)
        return NULL;
    more = bytes + CHUNK_SLACK_BYTES > before ? bytes + CHUNK_SLACK_BYTES - before : 0;
    if (!reserve(account, more))
        return NULL;
    moved = realloc(memory, bytes);
    if (!moved && bytes > 0) {
        account_release(account, more);
        return NULL;
    }
    return settle(account, moved, before + more);
}

void *account_alloc(struct account *account, size_t bytes)
{
    return allocate(account, bytes, false, account_reserve);
}

void *account_alloc_last(struct account *account, size_t bytes)
{
    return allocate(account, bytes, false, account_reserve_last);
}

void *account_calloc(struct account *account, size_t count, size_t bytes)
{
    return allocate_many(account, count, bytes, account_reserve);
}

void *account_calloc_last(struct account *account, size_t count, size_t bytes)
{
    return allocate_many(account, count, bytes, account_reserve_last);
}

void *account_realloc(struct account *account, void *memory, size_t bytes)
{
    return reallocate(account, memory, bytes, account_reserve);
}

void *account_realloc_last(struct account *account, void *memory, size_t bytes)
{
    return reallocate(account, memory, bytes, account_reserve_last);
}

void account_free(struct account *account, void *memory)
{
    const uint64_t charge = charge_of(memory);

    free(memory);
    account_release(account, charge);
}

void *account_grow(struct account *account, void *array, size_t *capacity, size_t needed,
                   size_t element_bytes)
{
    size_t wanted, bytes;
    void *grown;

    if (array && needed <= *capacity)
        return array;
    if (!array_size(*capacity, needed, element_bytes, &wanted, &bytes))
        return NULL;
    grown = account_realloc(account, array, bytes);
    if (grown)
        *capacity = wanted;
    return grown;
}
