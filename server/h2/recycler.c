/* SPDX-License-Identifier: Apache-2.0 */
#include "h2/recycler.h"

#include <malloc.h>
#include <string.h>

#include "base/array.h"

#ifdef TRIT_ASAN
static const size_t kept_bytes_max = 0;
#else
static const size_t kept_bytes_max = RECYCLER_BYTES_MAX;
#endif

enum {
    BIN_STEP_BYTES = 16,
    /* glibc's blocks have 16n + 8 usable bytes, so bin n has blocks of at least 16n + 8. */
    BIN_OFFSET_BYTES = 8,
    BIN_BYTES_FIRST = BIN_STEP_BYTES + BIN_OFFSET_BYTES,
};

struct recycled {
    struct recycled *next;
};

bool recycler_keeps(void)
{
    return kept_bytes_max > 0;
}

/* The first bin whose blocks all have `bytes`. Bin 0 stays empty. */
static size_t bin_for(size_t bytes)
{
    return bytes <= BIN_BYTES_FIRST
               ? 1
               : (bytes - BIN_OFFSET_BYTES + BIN_STEP_BYTES - 1) / BIN_STEP_BYTES;
}

static size_t bin_bytes(size_t bin)
{
    return bin * BIN_STEP_BYTES + BIN_OFFSET_BYTES;
}

void recycler_trim(struct recycler *recycler, size_t bytes_max)
{
    for (size_t bin = RECYCLER_BINS; bin-- > 0 && recycler->bytes > bytes_max;) {
        struct recycled *block;

        while (recycler->bytes > bytes_max && (block = recycler->bins[bin])) {
            recycler->bins[bin] = block->next;
            recycler->bytes -= bin_bytes(bin);
            account_free(recycler->account, block);
        }
    }
}

/* NULL: nothing that is kept has this size. */
static void *take(struct recycler *recycler, size_t bytes)
{
    const size_t bin = bin_for(bytes);
    struct recycled *block = bin < RECYCLER_BINS ? recycler->bins[bin] : NULL;

    if (!block)
        return NULL;
    recycler->bins[bin] = block->next;
    recycler->bytes -= bin_bytes(bin);
    return block;
}

void *recycler_alloc(struct recycler *recycler, size_t bytes)
{
    void *memory = take(recycler, bytes);

    if (!memory)
        memory = account_alloc_last(recycler->account, bytes);
    if (memory || recycler->bytes == 0)
        return memory;
    recycler_trim(recycler, 0);
    return account_alloc_last(recycler->account, bytes);
}

void *recycler_calloc(struct recycler *recycler, size_t count, size_t bytes)
{
    size_t total;
    void *memory;

    if (__builtin_mul_overflow(count, bytes, &total))
        return NULL;
    memory = recycler_alloc(recycler, total);
    return memory ? memset(memory, 0, total) : NULL;
}

void *recycler_realloc(struct recycler *recycler, void *memory, size_t bytes)
{
    void *moved;

    if (!memory)
        return recycler_alloc(recycler, bytes);
    moved = account_realloc_last(recycler->account, memory, bytes);
    if (moved || bytes == 0 || recycler->bytes == 0)
        return moved;
    recycler_trim(recycler, 0);
    return account_realloc_last(recycler->account, memory, bytes);
}

void *recycler_grow(struct recycler *recycler, void *array, size_t *capacity,
                    size_t needed, size_t element_bytes)
{
    size_t wanted, bytes;
    void *grown;

    if (array)
        return account_grow(recycler->account, array, capacity, needed, element_bytes);
    if (!array_size(0, needed, element_bytes, &wanted, &bytes))
        return NULL;
    grown = take(recycler, bytes);
    if (grown)
        *capacity = wanted;
    else
        grown = account_grow(recycler->account, NULL, capacity, needed, element_bytes);
    return grown;
}

void recycler_free(struct recycler *recycler, void *memory)
{
    struct recycled *block = memory;
    size_t usable, bin, size;

    if (!memory)
        return;
    usable = malloc_usable_size(memory);
    if (usable < BIN_BYTES_FIRST) {
        account_free(recycler->account, memory);
        return;
    }
    bin = (usable - BIN_OFFSET_BYTES) / BIN_STEP_BYTES;
    size = bin_bytes(bin);
    if (bin >= RECYCLER_BINS || recycler->bytes + size > kept_bytes_max) {
        account_free(recycler->account, memory);
        return;
    }
    block->next = recycler->bins[bin];
    recycler->bins[bin] = block;
    recycler->bytes += size;
}
