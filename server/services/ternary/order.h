/* SPDX-License-Identifier: Apache-2.0 */
/* Merges tiles in their order on the workers. The worker that computed a tile merges it,
 * and those behind it that wait, if no other worker is at it. So one worker at a time
 * merges, and the loop does not hash. */
#ifndef TERNARY_ORDER_H
#define TERNARY_ORDER_H

#include <pthread.h>

#include "services/ternary/merge.h"

struct order {
    bool shared;           /* there are several tiles; else the rest is not used */
    pthread_mutex_t mutex; /* guards the rest */
    struct list waiting;   /* computed and not merged, in tile order */
    struct tile *current;  /* a worker merges it; NULL: none */
    uint64_t next;         /* index of the tile that is merged next */
    bool stopped;
};

void order_init(struct order *order, uint64_t tiles);
void order_fini(struct order *order); /* as all below, harmless on a zeroed struct */

/* On the thread that has computed the tile. Sets tile->merged of each tile that it
 * merges; the loop may recycle that one from then on. */
void order_take(struct order *order, struct merge *merge, const struct task *task,
                struct tile *tile);

/* No further tile is merged. The loop may recycle all computed tiles but the one that
 * order_current gives: a worker is at it, and its job is not back. */
void order_stop(struct order *order);
struct tile *order_current(struct order *order);

#endif
