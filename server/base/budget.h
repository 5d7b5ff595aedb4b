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
    uint64_t bytes_last; /* of these, only for budget_reserve_last */
    _Atomic uint64_t bytes_used;
    _Atomic uint64_t bytes_peak;
    _Atomic uint64_t refusals;   /* reservations that did not fit */
    _Atomic uint64_t bytes_high; /* the largest use since `fell` was called, about */
    void (*fell)(void *arg);     /* NULL: none */
    void *fell_arg;
};

/* Everything up to bytes_max can be reserved. */
void budget_init(struct budget *budget, uint64_t bytes_max);

/* Keeps a part of the budget for what ends the calls that were admitted: frames,
 * trailers, messages. */
void budget_keep_last(struct budget *budget, uint64_t bytes);

/* True: `bytes` are reserved. False: they do not fit, and nothing changed. */
bool budget_reserve(struct budget *budget, uint64_t bytes);

/* The same, up to the whole of bytes_max. */
bool budget_reserve_last(struct budget *budget, uint64_t bytes);

/* Reserves without asking, so bytes_used may exceed bytes_max: for what is held already,
 * and for the rounding of an allocator. */
void budget_charge(struct budget *budget, uint64_t bytes);

void budget_release(struct budget *budget, uint64_t bytes);

/* `fell` is called by budget_release when less than half is left of a use of more than
 * BUDGET_FALL_BYTES: it is worth giving pages back to the system. On the thread that
 * released; several threads that fall together call it once. Set it while one thread
 * alone uses the budget. */
enum { BUDGET_FALL_BYTES = 8 << 20 };
void budget_on_fall(struct budget *budget, void (*fell)(void *arg), void *arg);

/* What budget_reserve has left. */
uint64_t budget_free(const struct budget *budget);

#endif
