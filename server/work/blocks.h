/* SPDX-License-Identifier: Apache-2.0 */
/* Pooled memory, so that a running daemon does not fault in a page for each tile. There
 * are a few size classes, cut from slabs. A slab with a used block is charged to the
 * budget as a whole, because the system gives it as a whole; an account is charged with
 * its blocks. Free slabs are kept, uncharged, up to BLOCKS_KEPT_BYTES_MAX and 1/16 of the
 * budget, and free mappings of larger blocks up to BLOCKS_KEPT_MAPPINGS_BYTES_MAX and 1/32;
 * the others go back to the system. Each loop has its own, and only
 * its thread calls these functions; any thread may use the bytes. */
#ifndef WORK_BLOCKS_H
#define WORK_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

struct account;
struct blocks;
struct budget;

enum {
    BLOCKS_KEPT_BYTES_MAX = 64 << 20,          /* of slabs without a used block */
    BLOCKS_KEPT_MAPPINGS_BYTES_MAX = 32 << 20, /* of larger blocks that were put back */
    BLOCKS_SLAB_BYTES = 2 << 20,
    BLOCKS_SMALLEST_BYTES = 8 << 10,
};

struct block {
    uint8_t *bytes;          /* 64-byte aligned; NULL: no memory */
    size_t size;             /* usable bytes, at least the requested ones */
    struct account *account; /* whose share it is; NULL: nobody's */
};

/* Borrows the budget. NULL: no memory. */
struct blocks *blocks_create(struct budget *budget);

/* One of `parts` that share what they keep: each keeps this part of it. */
void blocks_divide_kept(struct blocks *blocks, unsigned parts);

/* After every block was put back. NULL is harmless. */
void blocks_destroy(struct blocks *blocks);

/* -1: the budget or memory is exhausted, and *block is unchanged. The bytes are not
 * initialized. A request above the largest class gets a mapping of its own. */
int blocks_get(struct blocks *blocks, size_t size, struct block *block);

/* The same for a peer's account, which must have room for it. */
int blocks_get_for(struct blocks *blocks, struct account *account, size_t size,
                   struct block *block);

/* Gives the memory back and clears *block. Harmless on an empty block. */
void blocks_put(struct blocks *blocks, struct block *block);

/* Bytes of all slabs, used or kept, and of the mappings that are kept. */
size_t blocks_mapped_bytes(const struct blocks *blocks);

#endif
