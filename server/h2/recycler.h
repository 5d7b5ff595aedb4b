/* SPDX-License-Identifier: Apache-2.0 */
/* Small memory of a session, for nghttp2 and for streams. What is freed is kept, still
 * charged to the peer's account, for the next calls on the connection: a call takes and
 * frees some fifteen small blocks, and charging each of them cost more than the rest of
 * the accounting. Without an open stream less is kept. Under AddressSanitizer nothing
 * is kept either, so that it sees each use after free. */
#ifndef H2_RECYCLER_H
#define H2_RECYCLER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/account.h"

enum {
    RECYCLER_BINS = 40, /* of 16 bytes: blocks up to 632 bytes */
    RECYCLER_BYTES_MAX = 16 << 10,
    /* Without an open stream: what some eight small calls need. */
    RECYCLER_IDLE_BYTES_MAX = 12 << 10,
};

struct recycler { /* zeroed, with its account: empty */
    struct account *account;
    size_t bytes; /* in all bins */
    struct recycled *bins[RECYCLER_BINS];
};

/* These charge with account_reserve_last. NULL: no memory, or it is refused, also after
 * what is kept was given back. */
void *recycler_alloc(struct recycler *recycler, size_t bytes);
void *recycler_calloc(struct recycler *recycler, size_t count, size_t bytes);

/* On failure the memory is unchanged. */
void *recycler_realloc(struct recycler *recycler, void *memory, size_t bytes);

/* As account_grow, so charged with account_reserve. */
void *recycler_grow(struct recycler *recycler, void *array, size_t *capacity,
                    size_t needed, size_t element_bytes);

/* Takes back what the functions above gave. NULL is harmless. */
void recycler_free(struct recycler *recycler, void *memory);

/* False: nothing that is freed is kept. */
bool recycler_keeps(void);

/* Frees blocks until at most `bytes_max` are kept. */
void recycler_trim(struct recycler *recycler, size_t bytes_max);

#endif
