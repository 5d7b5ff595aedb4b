/* SPDX-License-Identifier: Apache-2.0 */
/* Pooled memory, so that a running daemon does not fault in a page for each tile. There
 * are a few size classes. Every block that is handed out is charged to the budget. Free
 * memory above BLOCKS_KEPT_BYTES_MAX goes back to the system. Only the loop's thread
 * calls these functions; any thread may use the bytes. */
#ifndef WORK_BLOCKS_H
#define WORK_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

struct blocks;
struct budget;

enum { BLOCKS_KEPT_BYTES_MAX = 64 << 20 }; /* of slabs without a used block */

struct block {
    uint8_t *bytes; /* 64-byte aligned; NULL: no memory */
    size_t size;    /* usable bytes, at least the requested ones; the charge */
};

/* Borrows the budget. NULL: no memory. */
struct blocks *blocks_create(struct budget *budget);

/* After every block was put back. NULL is harmless. */
void blocks_destroy(struct blocks *blocks);

/* -1: the budget or memory is exhausted, and *block is unchanged. The bytes are not
 * initialized. A request above the largest class gets a mapping of its own. */
int blocks_get(struct blocks *blocks, size_t size, struct block *block);

/* Gives the memory back and clears *block. Harmless on an empty block. */
void blocks_put(struct blocks *blocks, struct block *block);

/* Bytes of all slabs, used or kept. */
size_t blocks_mapped_bytes(const struct blocks *blocks);

#endif
