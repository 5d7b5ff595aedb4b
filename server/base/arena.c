/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

/* malloc gives blocks; arena_alloc takes allocations from the newest block. When an
 * allocation does not fit, it gets a new block. A large one gets a block of its own
 * behind the newest, so that the space left in the newest is not lost. */
struct arena_block {
    struct arena_block *next;
    size_t bytes_used, bytes_max;
    _Alignas(max_align_t) unsigned char bytes[];
};

enum {
    ALIGNMENT = _Alignof(max_align_t),
    /* With its header, one page: a small call needs one malloc. */
    BLOCK_BYTES = 4096 - sizeof(struct arena_block),
    OWN_BLOCK_BYTES = BLOCK_BYTES / 4, /* at most this share of a block is wasted */
};

#ifdef TRIT_ASAN
static const int every_allocation_apart = 1;
#else
static const int every_allocation_apart = 0;
#endif

void arena_init(struct arena *arena, size_t bytes_max)
{
    *arena = (struct arena){.bytes_max = bytes_max};
}

void arena_fini(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *block = arena->blocks;

        arena->blocks = block->next;
        free(block);
    }
    arena_init(arena, arena->bytes_max);
}

static struct arena_block *block_create(size_t bytes)
{
    struct arena_block *block = calloc(1, sizeof(*block) + bytes);

    if (block)
        block->bytes_max = bytes;
    return block;
}

static void *block_cut(struct arena_block *block, size_t bytes)
{
    void *cut = block->bytes + block->bytes_used;

    block->bytes_used += bytes;
    return cut;
}

static void *alloc_own_block(struct arena *arena, size_t bytes)
{
    struct arena_block *block = block_create(bytes);

    if (!block)
        return NULL;
    if (arena->blocks) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        arena->blocks = block;
    }
    return block_cut(block, bytes);
}

static void *alloc_shared(struct arena *arena, size_t bytes)
{
    struct arena_block *block = arena->blocks;

    if (!block || block->bytes_max - block->bytes_used < bytes) {
        block = block_create(BLOCK_BYTES);
        if (!block)
            return NULL;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    return block_cut(block, bytes);
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    size_t spare = arena->bytes_max - arena->bytes_used;
    size_t rounded = align_up(bytes, ALIGNMENT);
    void *cut;

    /* Charges the rounded size, so that the bound does not depend on the build. */
    if (bytes > PTRDIFF_MAX / 2 || rounded > spare)
        return NULL;
    if (every_allocation_apart)
        cut = alloc_own_block(arena, bytes);
    else if (rounded > OWN_BLOCK_BYTES)
        cut = alloc_own_block(arena, rounded);
    else
        cut = alloc_shared(arena, rounded);
    if (cut)
        arena->bytes_used += rounded;
    return cut;
}

char *arena_strndup(struct arena *arena, const char *text, size_t bytes)
{
    size_t length = strnlen(text, bytes);
    char *copy = arena_alloc(arena, length + 1);

    if (copy)
        memcpy(copy, text, length);
    return copy;
}
