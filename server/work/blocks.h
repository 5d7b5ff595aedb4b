/* SPDX-License-Identifier: Apache-2.0 */
/* Pooled memory for tiles, so that the steady path never faults a page in. A few
 * size classes; every block handed out is charged to the budget; what is free
 * beyond a cap goes back to the system. Loop thread only; the bytes may be used
 * from any. */
#ifndef WORK_BLOCKS_H
#define WORK_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

struct blocks;
struct budget;

enum {
    BLOCKS_KEPT_BYTES_MAX = 64 << 20, /* mapped though wholly free */
    BLOCK_ALIGN = 64,                 /* of a block, and of the parts that share one */
};

struct block {
    uint8_t *bytes; /* aligned to BLOCK_ALIGN; NULL = none */
    size_t size;    /* usable bytes, at least what was asked for; charged */
};

/* Returns NULL on lack of memory. Borrows the budget. */
struct blocks *blocks_create(struct budget *budget);

/* Every block must be back. NULL is harmless. */
void blocks_destroy(struct blocks *blocks);

/* 0, or -1 when the budget or memory is exhausted (*block untouched). The bytes
 * are whatever was there. Asks for more than the largest class are served
 * exactly, unpooled. */
int blocks_get(struct blocks *blocks, size_t size, struct block *block);

/* Gives it back and clears *block. Harmless on an empty block. */
void blocks_put(struct blocks *blocks, struct block *block);

/* Bytes mapped now for pooled blocks, handed out or kept. */
size_t blocks_mapped_bytes(const struct blocks *blocks);

#endif
