/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of one size class are cut from slabs of 2 MiB. A slab is aligned to its size,
 * so that one huge page can back it and the address of a block tells its slab.
 *
 * A slab with both free and used blocks is in the `open` list of its class. A slab with
 * only free blocks is in `kept` and belongs to no class. A slab with only used blocks is
 * in no list. Blocks come from open slabs first, so that other slabs become empty and
 * can be unmapped. So the mapped memory never exceeds the largest amount that was handed
 * out at one time, rounded up to slabs, plus BLOCKS_KEPT_BYTES_MAX.
 *
 * A block above the largest class is a mapping of its own. The last few that were put back are
 * kept for requests of the same number of pages, because calls repeat their sizes and a new
 * mapping costs a page fault for every 4 KiB. */
#include "work/blocks.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifdef TRIT_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

#include "base/account.h"
#include "base/budget.h"
#include "base/list.h"
#include "base/number.h"
#include "work/plan.h"

/* For small messages; for the 2-bit output of a tile, and of a wide one; for the codes and
 * sums of a tile, and of a wide one; for a tile with its scales and codes. */
static const size_t class_bytes[] = {
    BLOCKS_SMALLEST_BYTES,         18 << 10, 36 << 10, 64 << 10, 104 << 10,
    TILE_IN_BYTES_MAX + (4 << 10),
};

enum {
    CLASSES = sizeof(class_bytes) / sizeof(class_bytes[0]),
    SLAB_BYTES = BLOCKS_SLAB_BYTES, /* a huge page: x86-64, aarch64 with 4 KiB pages */
    SLAB_HEAD_BYTES = 4096,
    KEPT_BUDGET_DIVISOR = 16,
    MAPPINGS_KEPT_MAX = 8,
    MAPPINGS_BUDGET_DIVISOR = 32,
    PAGE_BYTES = 4096,
    UNUSED_END = UINT16_MAX,
};

/* At the start of the slab, within SLAB_HEAD_BYTES. */
struct slab {
    struct list link;
    unsigned size_class;
    uint16_t blocks, used; /* blocks 0: not cut yet */
    uint16_t first_free;   /* index of a block; UNUSED_END: none */
    uint16_t next_free[(SLAB_BYTES - SLAB_HEAD_BYTES) / BLOCKS_SMALLEST_BYTES];
};
_Static_assert(sizeof(struct slab) <= SLAB_HEAD_BYTES, "a slab's head fits its page");

struct mapping {
    uint8_t *bytes;
    size_t size;
};

struct blocks {
    struct budget *budget;
    struct mapping mappings[MAPPINGS_KEPT_MAX]; /* kept, the oldest first */
    size_t mappings_kept, mappings_bytes, mappings_bytes_max;
    struct list open[CLASSES];
    struct list kept;
    size_t kept_slabs, kept_slabs_max;
    size_t mapped_bytes; /* of slabs */
    size_t blocks_out;
};

struct blocks *blocks_create(struct budget *budget)
{
    struct blocks *blocks = calloc(1, sizeof(*blocks));

    if (!blocks)
        return NULL;
    blocks->budget = budget;
    blocks->kept_slabs_max =
        (size_t)u64_min(BLOCKS_KEPT_BYTES_MAX, budget->bytes_max / KEPT_BUDGET_DIVISOR) /
        SLAB_BYTES;
    blocks->mappings_bytes_max = (size_t)u64_min(
        BLOCKS_KEPT_MAPPINGS_BYTES_MAX, budget->bytes_max / MAPPINGS_BUDGET_DIVISOR);
    list_init(&blocks->kept);
    for (size_t i = 0; i < CLASSES; i++)
        list_init(&blocks->open[i]);
    return blocks;
}

void blocks_divide_kept(struct blocks *blocks, unsigned parts)
{
    blocks->kept_slabs_max /= parts;
    blocks->mappings_bytes_max /= parts;
}

static void *map(size_t bytes)
{
    void *at =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return at == MAP_FAILED ? NULL : at;
}

/* Maps twice the size and unmaps what is outside the aligned slab. */
static struct slab *slab_map(void)
{
    uint8_t *at = map(2 * SLAB_BYTES);
    size_t before;

    if (!at)
        return NULL;
    before = (size_t)(-(uintptr_t)at & (SLAB_BYTES - 1));
    if (before > 0)
        munmap(at, before);
    munmap(at + before + SLAB_BYTES, SLAB_BYTES - before);
    madvise(at + before, SLAB_BYTES, MADV_HUGEPAGE); /* may fail */
    return (struct slab *)(void *)(at + before);
}

static void slab_unmap(struct blocks *blocks, struct slab *slab)
{
    ASAN_UNPOISON_MEMORY_REGION(slab, SLAB_BYTES);
    munmap(slab, SLAB_BYTES);
    blocks->mapped_bytes -= SLAB_BYTES;
}

static uint8_t *slab_block(struct slab *slab, uint16_t index)
{
    return (uint8_t *)slab + SLAB_HEAD_BYTES + index * class_bytes[slab->size_class];
}

/* Cuts an empty slab into blocks of the class. */
static void slab_cut(struct slab *slab, unsigned size_class)
{
    slab->size_class = size_class;
    slab->blocks = (uint16_t)((SLAB_BYTES - SLAB_HEAD_BYTES) / class_bytes[size_class]);
    slab->used = 0;
    slab->first_free = 0;
    for (uint16_t i = 0; i < slab->blocks; i++)
        slab->next_free[i] = i + 1 < slab->blocks ? (uint16_t)(i + 1) : UNUSED_END;
    ASAN_POISON_MEMORY_REGION((uint8_t *)slab + SLAB_HEAD_BYTES,
                              SLAB_BYTES - SLAB_HEAD_BYTES);
}

/* A slab of the class with a free block, from the front of the list. NULL: no memory, or
 * the budget has no place for another slab. */
static struct slab *slab_open(struct blocks *blocks, unsigned size_class, bool small)
{
    struct list *link;
    struct slab *slab;

    if (!list_empty(&blocks->open[size_class]))
        return LIST_OWNER(blocks->open[size_class].next, struct slab, link);
    if (!budget_reserve(blocks->budget, SLAB_BYTES) &&
        !(small && budget_reserve_last(blocks->budget, SLAB_BYTES)))
        return NULL;
    link = list_pop(&blocks->kept);
    if (link) {
        slab = LIST_OWNER(link, struct slab, link);
        blocks->kept_slabs--;
    } else {
        slab = slab_map();
        if (!slab) {
            budget_release(blocks->budget, SLAB_BYTES);
            return NULL;
        }
        blocks->mapped_bytes += SLAB_BYTES;
    }
    /* A kept slab is cut already; all its blocks are free. */
    if (slab->blocks == 0 || slab->size_class != size_class)
        slab_cut(slab, size_class);
    list_push(&blocks->open[size_class], &slab->link);
    return slab;
}

static uint8_t *take_pooled(struct blocks *blocks, unsigned size_class, bool small)
{
    struct slab *slab = slab_open(blocks, size_class, small);
    uint8_t *bytes;

    if (!slab)
        return NULL;
    bytes = slab_block(slab, slab->first_free);
    slab->first_free = slab->next_free[slab->first_free];
    slab->used++;
    if (slab->used == slab->blocks)
        list_remove(&slab->link);
    ASAN_UNPOISON_MEMORY_REGION(bytes, class_bytes[size_class]);
    return bytes;
}

static void put_pooled(struct blocks *blocks, uint8_t *bytes)
{
    struct slab *slab = (struct slab *)((uintptr_t)bytes & ~(uintptr_t)(SLAB_BYTES - 1));
    size_t offset = (size_t)(bytes - slab_block(slab, 0));
    uint16_t index = (uint16_t)(offset / class_bytes[slab->size_class]);

    assert(slab->used > 0 && offset % class_bytes[slab->size_class] == 0);
    ASAN_POISON_MEMORY_REGION(bytes, class_bytes[slab->size_class]);
    slab->next_free[index] = slab->first_free;
    slab->first_free = index;
    if (slab->used == slab->blocks)
        list_push(&blocks->open[slab->size_class], &slab->link);
    slab->used--;
    if (slab->used > 0)
        return;
    list_remove(&slab->link);
    budget_release(blocks->budget, SLAB_BYTES);
    if (blocks->kept_slabs >= blocks->kept_slabs_max) {
        slab_unmap(blocks, slab);
        return;
    }
    list_push(&blocks->kept, &slab->link);
    blocks->kept_slabs++;
}

/* The smallest class that fits `size`; CLASSES if none does. */
static unsigned class_of(size_t size)
{
    unsigned size_class = 0;

    while (size_class < CLASSES && class_bytes[size_class] < size)
        size_class++;
    return size_class;
}

static size_t page_round(size_t size)
{
    return align_up(size, PAGE_BYTES);
}

/* Takes a kept mapping out of the list. */
static struct mapping mapping_remove(struct blocks *blocks, size_t at)
{
    const struct mapping found = blocks->mappings[at];

    blocks->mappings_kept--;
    blocks->mappings_bytes -= found.size;
    memmove(&blocks->mappings[at], &blocks->mappings[at + 1],
            (blocks->mappings_kept - at) * sizeof(found));
    ASAN_UNPOISON_MEMORY_REGION(found.bytes, found.size);
    return found;
}

/* The newest kept mapping of exactly that size. NULL: none. */
static uint8_t *mapping_find(struct blocks *blocks, size_t size)
{
    for (size_t at = blocks->mappings_kept; at-- > 0;)
        if (blocks->mappings[at].size == size)
            return mapping_remove(blocks, at).bytes;
    return NULL;
}

static void mapping_unmap_oldest(struct blocks *blocks)
{
    const struct mapping oldest = mapping_remove(blocks, 0);

    munmap(oldest.bytes, oldest.size);
}

/* Keeps a mapping in place of older ones, or unmaps it where it is too large. */
static void mapping_keep(struct blocks *blocks, uint8_t *bytes, size_t size)
{
    if (size > blocks->mappings_bytes_max) {
        munmap(bytes, size);
        return;
    }
    while (blocks->mappings_kept == MAPPINGS_KEPT_MAX ||
           blocks->mappings_bytes + size > blocks->mappings_bytes_max)
        mapping_unmap_oldest(blocks);
    ASAN_POISON_MEMORY_REGION(bytes, size);
    blocks->mappings[blocks->mappings_kept++] = (struct mapping){bytes, size};
    blocks->mappings_bytes += size;
}

static uint8_t *take_unpooled(struct blocks *blocks, size_t size)
{
    uint8_t *bytes;

    if (!budget_reserve(blocks->budget, page_round(size)))
        return NULL;
    bytes = mapping_find(blocks, page_round(size));
    if (bytes)
        return bytes;
    bytes = map(page_round(size));
    if (!bytes)
        budget_release(blocks->budget, page_round(size));
    if (bytes && size >= 2 * SLAB_BYTES)
        madvise(bytes, page_round(size), MADV_HUGEPAGE); /* may fail */
    return bytes;
}

int blocks_get_for(struct blocks *blocks, struct account *account, size_t size,
                   struct block *block)
{
    unsigned size_class = class_of(size);
    size_t usable = size_class < CLASSES ? class_bytes[size_class] : size;
    /* A small call of a connection that holds little may use the last of the budget. */
    bool small = size_class < CLASSES - 1 && account_is_small(account, usable);
    uint8_t *bytes;

    if (size > PTRDIFF_MAX || (!small && !account_has_room(account, usable)))
        return -1;
    bytes = size_class < CLASSES ? take_pooled(blocks, size_class, small)
                                 : take_unpooled(blocks, size);
    if (!bytes)
        return -1;
    account_hold(account, usable);
    blocks->blocks_out++;
    *block = (struct block){.bytes = bytes, .size = usable, .account = account};
    return 0;
}

int blocks_get(struct blocks *blocks, size_t size, struct block *block)
{
    return blocks_get_for(blocks, NULL, size, block);
}

void blocks_put(struct blocks *blocks, struct block *block)
{
    if (!block->bytes)
        return;
    if (class_of(block->size) < CLASSES) {
        put_pooled(blocks, block->bytes);
    } else {
        mapping_keep(blocks, block->bytes, page_round(block->size));
        budget_release(blocks->budget, page_round(block->size));
    }
    account_drop(block->account, block->size);
    blocks->blocks_out--;
    *block = (struct block){0};
}

size_t blocks_mapped_bytes(const struct blocks *blocks)
{
    return blocks->mapped_bytes + blocks->mappings_bytes;
}

void blocks_destroy(struct blocks *blocks)
{
    struct list *link;

    if (!blocks)
        return;
    assert(blocks->blocks_out == 0);
    while ((link = list_pop(&blocks->kept)))
        slab_unmap(blocks, LIST_OWNER(link, struct slab, link));
    while (blocks->mappings_kept > 0)
        mapping_unmap_oldest(blocks);
    free(blocks);
}
