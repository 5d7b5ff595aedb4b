/* Pooled, page-touched memory for tiles, so that the steady path never faults
 * a page in. A few size classes; every block handed out is charged to the
 * budget; free blocks beyond a cap go back to the system. Loop thread only. */
#ifndef WORK_BLOCKS_H
#define WORK_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

struct blocks;
struct budget;

struct block {
    uint8_t *bytes; /* 64-byte aligned; NULL = none */
    size_t size;    /* usable bytes, at least what was asked for */
};

/* Returns NULL on lack of memory. Borrows the budget. */
struct blocks *blocks_create(struct budget *budget);
void blocks_destroy(struct blocks *blocks);

/* 0, or -1 when the budget or memory is exhausted (*block untouched). Asks for
 * more than the largest class are served exactly, unpooled. */
int blocks_get(struct blocks *blocks, size_t size, struct block *block);

/* Gives it back and clears *block. Harmless on an empty block. */
void blocks_put(struct blocks *blocks, struct block *block);

#endif
