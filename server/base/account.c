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

/* The account of an address is open: part of its count, so that whoever brings the count to
 * 0 is the one that frees it. */
static const uint64_t ADDRESS_OPEN = UINT64_C(1) << 63;

#ifdef TRIT_UNCHARGED /* only to measure what charging costs */
static const bool charges = false;
#else
static const bool charges = true;
#endif

struct account *account_open(struct budget *budget, struct account *parent)
{
    struct account *account = calloc(1, sizeof(*account));

    if (!account)
        return NULL;
    account->budget = budget;
    account->parent = parent;
    atomic_init(&account->bytes_used, parent ? 0 : ADDRESS_OPEN);
    account->times_free =
        parent ? ACCOUNT_CONNECTION_TIMES_FREE : ACCOUNT_ADDRESS_TIMES_FREE;
    return account;
}

uint64_t account_bytes(const struct account *account)
{
    return atomic_load_explicit(&account->bytes_used, memory_order_relaxed) &
           ~ADDRESS_OPEN;
}

/* The loop of a connection alone writes its account, which so needs no locked instruction.
 * Children of an address may be on several loops. */
static void add_bytes(struct account *account, uint64_t bytes)
{
    if (!account->parent)
        atomic_fetch_add_explicit(&account->bytes_used, bytes, memory_order_relaxed);
    else
        atomic_store_explicit(
            &account->bytes_used,
            atomic_load_explicit(&account->bytes_used, memory_order_relaxed) + bytes,
            memory_order_relaxed);
}

/* Of a connection. That of an address is freed by whoever takes its last bytes. */
static void free_if_done(struct account *account)
{
    if (account->closed && account->batches == 0 && account_bytes(account) == 0)
        free(account);
}

/* May free the account. */
static void subtract_bytes(struct account *account, uint64_t bytes)
{
    uint64_t before;

    if (!account->parent) {
        before =
            atomic_fetch_sub_explicit(&account->bytes_used, bytes, memory_order_acq_rel);
        assert(before >= bytes);
        if (before == bytes)
            free(account);
        return;
    }
    before = atomic_load_explicit(&account->bytes_used, memory_order_relaxed);
    assert(before >= bytes);
    atomic_store_explicit(&account->bytes_used, before - bytes, memory_order_relaxed);
    free_if_done(account);
}

/* Tells the parent what a batch has changed. */
static void tell_parent(struct account *account)
{
    const int64_t due = account->parent_due;

    account->parent_due = 0;
    if (due > 0)
        add_bytes(account->parent, (uint64_t)due);
    else if (due < 0)
        subtract_bytes(account->parent, (uint64_t)-due);
}

void account_close(struct account *account)
{
    if (!account)
        return;
    account->closed = account->parent != NULL;
    subtract_bytes(account, account->parent ? 0 : ADDRESS_OPEN);
}

static uint64_t in_use(const struct account *account)
{
    return account_bytes(account) - account->slack;
}

bool account_is_small(const struct account *account, uint64_t bytes)
{
    return account && account->parent && in_use(account) + bytes <= ACCOUNT_SMALL_BYTES;
}

bool account_has_room(const struct account *account, uint64_t bytes)
{
    uint64_t left, kept;
    int64_t due = 0; /* to a parent, which has as much */

    if (!account || !charges)
        return true;
    if (bytes <= account->slack)
        return true;
    left = budget_free(account->budget) + account->slack;
    if (bytes > left)
        return false;
    if (account_is_small(account, bytes))
        return in_use(account) + bytes <= ACCOUNT_TINY_BYTES ||
               left - bytes >= account->budget->bytes_max / ACCOUNT_TINY_DIVISOR;
    kept = account->budget->bytes_max / ACCOUNT_SMALL_DIVISOR + bytes;
    for (; account; account = account->parent) {
        if (left < kept || in_use(account) + (uint64_t)due + bytes >=
                               (left - kept + 1) * account->times_free)
            return false;
        due = account->parent_due;
    }
    return true;
}

void account_hold(struct account *account, uint64_t bytes)
{
    if (!account || !charges)
        return;
    add_bytes(account, bytes);
    if (!account->parent)
        return;
    if (account->batches)
        account->parent_due += (int64_t)bytes;
    else
        add_bytes(account->parent, bytes);
}

void account_drop(struct account *account, uint64_t bytes)
{
    struct account *parent;

    if (!account || !charges)
        return;
    parent = account->parent;
    if (parent && account->batches) {
        account->parent_due -= (int64_t)bytes;
        parent = NULL;
    }
    subtract_bytes(account, bytes);
    if (parent)
        subtract_bytes(parent, bytes);
}

/* Charges what the slack lacks of `bytes`; afterwards `ahead` bytes are the slack. */
static bool charge(struct account *account, uint64_t bytes, uint64_t ahead, bool last)
{
    const uint64_t more = bytes + ahead - account->slack;

    if ((!last || ahead > 0) && !account_has_room(account, bytes + ahead))
        return false;
    if (last ? !budget_reserve_last(account->budget, more)
             : !budget_reserve(account->budget, more))
        return false;
    account_hold(account, more);
    account->slack = ahead;
    return true;
}

/* The slack does not do. */
static bool reserve_more(struct account *account, uint64_t bytes, bool last)
{
    if (account->batches && charge(account, bytes, ACCOUNT_AHEAD_BYTES, last))
        return true;
    if (charge(account, bytes, 0, last))
        return true;
    account->refusals++;
    return false;
}

static inline bool reserve(struct account *account, uint64_t bytes, bool last)
{
    if (!account || !charges)
        return true;
    if (bytes > account->slack)
        return reserve_more(account, bytes, last);
    account->slack -= bytes;
    return true;
}

bool account_reserve(struct account *account, uint64_t bytes)
{
    return reserve(account, bytes, false);
}

bool account_reserve_last(struct account *account, uint64_t bytes)
{
    return reserve(account, bytes, true);
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

static inline void release(struct account *account, uint64_t bytes)
{
    if (!account || !charges || bytes == 0)
        return;
    if (account->batches && account->slack + bytes <= ACCOUNT_SLACK_BYTES) {
        account->slack += bytes;
        return;
    }
    budget_release(account->budget, bytes);
    account_drop(account, bytes);
}

void account_release(struct account *account, uint64_t bytes)
{
    release(account, bytes);
}

void account_batch_begin(struct account *account)
{
    if (account)
        account->batches++;
}

void account_batch_end(struct account *account)
{
    uint64_t slack;

    if (!account || --account->batches > 0)
        return;
    slack = account->slack;
    account->slack = 0;
    if (account->parent)
        tell_parent(account);
    if (slack)
        account_release(account, slack); /* may free the account */
    else
        free_if_done(account);
}

/* ---- memory ------------------------------------------------------------------------ */

static uint64_t charge_of(void *memory)
{
    return memory && charges ? malloc_usable_size(memory) + CHUNK_HEAD_BYTES : 0;
}

/* `reserved` bytes are reserved for `memory`: corrects them to its charge. The difference
 * is a rounding, so it is not refused. */
static void *settle(struct account *account, void *memory, uint64_t reserved)
{
    const uint64_t bytes = charge_of(memory);

    if (bytes > reserved) {
        budget_charge(account->budget, bytes - reserved);
        account_hold(account, bytes - reserved);
    } else {
        account_release(account, reserved - bytes);
    }
    return memory;
}

static void *allocate(struct account *account, size_t bytes, bool zeroed, bool last)
{
    void *memory;
    uint64_t bytes_charged;

    if (account && bytes > account->budget->bytes_max)
        return NULL;
    memory = zeroed ? calloc(1, bytes) : malloc(bytes);
    if (!account || !charges || !memory)
        return memory;
    bytes_charged = charge_of(memory); /* known only now */
    if (reserve(account, bytes_charged, last))
        return memory;
    free(memory);
    return NULL;
}

static void *allocate_many(struct account *account, size_t count, size_t bytes, bool last)
{
    size_t total;

    if (__builtin_mul_overflow(count, bytes, &total))
        return NULL;
    return allocate(account, total, true, last);
}

static void *reallocate(struct account *account, void *memory, size_t bytes, bool last)
{
    const uint64_t before = charge_of(memory);
    uint64_t more;
    void *moved;

    if (!account || !charges)
        return realloc(memory, bytes);
    if (bytes > PTRDIFF_MAX)
        return NULL;
    more = bytes + CHUNK_SLACK_BYTES > before ? bytes + CHUNK_SLACK_BYTES - before : 0;
    if (!reserve(account, more, last))
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
    return allocate(account, bytes, false, false);
}

void *account_alloc_last(struct account *account, size_t bytes)
{
    return allocate(account, bytes, false, true);
}

void *account_calloc(struct account *account, size_t count, size_t bytes)
{
    return allocate_many(account, count, bytes, false);
}

void *account_calloc_last(struct account *account, size_t count, size_t bytes)
{
    return allocate_many(account, count, bytes, true);
}

void *account_realloc(struct account *account, void *memory, size_t bytes)
{
    return reallocate(account, memory, bytes, false);
}

void *account_realloc_last(struct account *account, void *memory, size_t bytes)
{
    return reallocate(account, memory, bytes, true);
}

void account_free(struct account *account, void *memory)
{
    uint64_t bytes;

    if (!memory)
        return;
    bytes = charge_of(memory);
    free(memory);
    release(account, bytes);
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
