/* SPDX-License-Identifier: Apache-2.0 */
/* What one connection holds of the budget, and what all connections from one address
 * hold together. Whatever a peer can make the daemon hold is charged to its account.
 *
 * The less a connection holds, the more of the budget is open to it: up to
 * ACCOUNT_TINY_BYTES all of it, up to ACCOUNT_SMALL_BYTES all but a sixteenth. Above that
 * an account may hold at most `times_free` times what is free in the budget, without
 * the eighth of it that stays for small accounts. So one account alone gets most of the
 * budget, several share it equally without knowing of each other, and a newcomer always
 * finds some of it free. One loop's thread uses the account of a connection. The account
 * of an address may have children on several loops: they change only its count of bytes,
 * which is atomic. */
#ifndef BASE_ACCOUNT_H
#define BASE_ACCOUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/flow.h"

struct budget;

enum {
    /* One connection alone may hold 3/4 of what is shared, two 3/7 each. */
    ACCOUNT_CONNECTION_TIMES_FREE = 3,
    /* All connections of one address alone 7/8, of two addresses 7/15 each. */
    ACCOUNT_ADDRESS_TIMES_FREE = 7,
    ACCOUNT_TINY_BYTES = 64 << 10,  /* a connection with one small call */
    ACCOUNT_TINY_DIVISOR = 16,      /* of the budget, for tiny accounts */
    ACCOUNT_SMALL_BYTES = 96 << 10, /* a connection with some small calls */
    ACCOUNT_SMALL_DIVISOR = 8,      /* of the budget, for small accounts */
    ACCOUNT_AHEAD_BYTES = 16 << 10, /* reserved at once within a batch */
    ACCOUNT_SLACK_BYTES = 32 << 10, /* the most that a batch keeps */
};

struct account {
    struct budget *budget;
    struct account *parent;      /* that of the address; NULL: none */
    _Atomic uint64_t bytes_used; /* with the slack; see account_bytes */
    uint64_t slack; /* charged, but free for the next reservations of a batch */
    uint64_t refusals;
    unsigned times_free;
    unsigned batches;   /* that are open */
    int64_t parent_due; /* in a batch: what the parent is not told yet */
    bool closed;
    struct flow flows[2]; /* its cheap work and its expensive work, for work/turns */
};

/* With a parent it is a connection's account, without one an address's. Borrows both.
 * NULL: out of memory. */
struct account *account_open(struct budget *budget, struct account *parent);

/* What is charged to it. */
uint64_t account_bytes(const struct account *account);

/* Frees the account when all that is charged to it has been released, which may be after
 * its connection has ended. A parent is closed after its last child has been freed, or
 * earlier. NULL is harmless, also for all functions below: nothing is charged then. */
void account_close(struct account *account);

/* For what a new connection or call needs. False: the account's share or the budget is
 * used up; nothing changed. */
bool account_reserve(struct account *account, uint64_t bytes);

/* Whether account_reserve would succeed. */
bool account_has_room(const struct account *account, uint64_t bytes);

/* Whether a connection's account is small even with `bytes` more. */
bool account_is_small(const struct account *account, uint64_t bytes);

/* For what it takes to answer and end a call that was admitted: may use the part of the
 * budget that account_reserve leaves. */
bool account_reserve_last(struct account *account, uint64_t bytes);

/* Whether less than half of what account_reserve leaves is still free. */
bool account_is_last_short(const struct account *account);

void account_release(struct account *account, uint64_t bytes);

/* Between these two calls what is released stays charged, up to ACCOUNT_SLACK_BYTES, for
 * the reservations that follow, and a reservation takes ACCOUNT_AHEAD_BYTES more where the
 * share has them. So the tens of small allocations of a call touch the budget and the
 * address's account, which threads share, a few times only. Afterwards the accounts are
 * exact again. */
void account_batch_begin(struct account *account);
void account_batch_end(struct account *account);

/* Counts bytes to the account's share alone, and no longer: the budget is charged by who
 * owns the memory (work/blocks). */
void account_hold(struct account *account, uint64_t bytes);
void account_drop(struct account *account, uint64_t bytes);

/* ---- memory that is charged at the size that the allocator gives ------------------- */

/* NULL: no memory, or account_reserve refuses. */
void *account_alloc(struct account *account, size_t bytes);
void *account_calloc(struct account *account, size_t count, size_t bytes);

/* On failure the memory is unchanged. */
void *account_realloc(struct account *account, void *memory, size_t bytes);

/* As the first three, with account_reserve_last. */
void *account_alloc_last(struct account *account, size_t bytes);
void *account_calloc_last(struct account *account, size_t count, size_t bytes);
void *account_realloc_last(struct account *account, void *memory, size_t bytes);

void account_free(struct account *account, void *memory);

/* As array_grow (array.h), charged. */
void *account_grow(struct account *account, void *array, size_t *capacity, size_t needed,
                   size_t element_bytes);

#endif
