/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/spares.h"

#include <stdlib.h>
#include <string.h>

#ifdef TRIT_ASAN
static const size_t spares_max = 0;
#else
static const size_t spares_max = SPARE_CALLS_MAX;
#endif

struct spare {
    struct spare *before; /* put before this one */
    size_t bytes;
};

static struct spare *pop(struct spares *spares)
{
    struct spare *spare = spares->last;

    if (!spare)
        return NULL;
    spares->last = spare->before;
    spares->count--;
    return spare;
}

void spares_fini(struct spares *spares)
{
    struct spare *spare;

    while ((spare = pop(spares)))
        free(spare);
}

static size_t size_of(size_t bytes)
{
    return bytes < sizeof(struct spare) ? sizeof(struct spare) : bytes;
}

/* The one that was put last is in the cache. If it has another size, it is freed: clients
 * mostly call one method again and again. */
void *spares_get(struct spares *spares, struct account *account, size_t bytes,
                 size_t zeroed)
{
    const size_t size = size_of(bytes);
    struct spare *spare;

    if (!account_reserve(account, size))
        return NULL;
    spare = pop(spares);
    if (spare && spare->bytes == size)
        return memset(spare, 0, zeroed);
    free(spare);
    spare = malloc(size);
    if (spare)
        return memset(spare, 0, zeroed);
    account_release(account, size);
    return NULL;
}

void spares_put(struct spares *spares, struct account *account, void *memory,
                size_t bytes)
{
    const size_t size = size_of(bytes);
    struct spare *spare = memory;

    if (spares->count < spares_max) {
        *spare = (struct spare){.before = spares->last, .bytes = size};
        spares->last = spare;
        spares->count++;
    } else {
        free(spare);
    }
    account_release(account, size);
}
