/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of calls. Some of it is kept when a call is freed, because the allocator
 * takes long for blocks of 13 KiB, and most calls are small. Only memory in use is
 * charged. Under AddressSanitizer nothing is kept, so that it sees each use after free. */
#ifndef GRPC_SPARES_H
#define GRPC_SPARES_H

#include "base/account.h"

enum { SPARE_CALLS_MAX = 64 }; /* 832 KiB of calls with a tensor */

struct spares { /* zeroed: none */
    struct spare *last;
    size_t count;
};

/* Frees all spares. */
void spares_fini(struct spares *spares);

/* The first `zeroed` bytes are zeroed, the others undefined. NULL: no memory, or
 * account_reserve refuses. */
void *spares_get(struct spares *spares, struct account *account, size_t bytes,
                 size_t zeroed);

/* Takes back what spares_get gave, with the same account and size. */
void spares_put(struct spares *spares, struct account *account, void *memory,
                size_t bytes);

#endif
