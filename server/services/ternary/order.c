/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/order.h"

void order_init(struct order *order, uint64_t tiles)
{
    *order = (struct order){.shared = tiles > 1};
    if (!order->shared)
        return;
    pthread_mutex_init(&order->mutex, NULL);
    list_init(&order->waiting);
}

void order_fini(struct order *order)
{
    if (order->shared)
        pthread_mutex_destroy(&order->mutex);
}

static struct tile *tile_of(struct list *node)
{
    return LIST_OWNER(node, struct tile, order_link);
}

/* Mostly a tile is the last one. */
static void insert(struct order *order, struct tile *tile)
{
    struct list *after = order->waiting.prev;

    while (after != &order->waiting && tile_of(after)->span.index > tile->span.index)
        after = after->prev;
    list_push(after->next, &tile->order_link);
}

/* The tile whose turn it is, if it waits. */
static struct tile *take_next(struct order *order)
{
    struct tile *tile;

    if (order->stopped || list_empty(&order->waiting))
        return NULL;
    tile = tile_of(order->waiting.next);
    if (tile->span.index != order->next)
        return NULL;
    list_remove(&tile->order_link);
    return tile;
}

void order_take(struct order *order, struct merge *merge, const struct task *task,
                struct tile *tile)
{
    if (!order->shared) {
        merge_tile(merge, task, tile);
        atomic_store_explicit(&tile->merged, true, memory_order_release);
        return;
    }
    pthread_mutex_lock(&order->mutex);
    if (!order->stopped)
        insert(order, tile);
    if (order->current) { /* that worker merges this tile too */
        pthread_mutex_unlock(&order->mutex);
        return;
    }
    while ((order->current = take_next(order))) {
        struct tile *current = order->current;

        pthread_mutex_unlock(&order->mutex);
        merge_tile(merge, task, current);
        pthread_mutex_lock(&order->mutex);
        order->next++;
        atomic_store_explicit(&current->merged, true, memory_order_release);
    }
    pthread_mutex_unlock(&order->mutex);
}

void order_stop(struct order *order)
{
    if (!order->shared)
        return;
    pthread_mutex_lock(&order->mutex);
    order->stopped = true;
    list_init(&order->waiting);
    pthread_mutex_unlock(&order->mutex);
}

struct tile *order_current(struct order *order)
{
    struct tile *current;

    if (!order->shared)
        return NULL;
    pthread_mutex_lock(&order->mutex);
    current = order->current;
    pthread_mutex_unlock(&order->mutex);
    return current;
}
