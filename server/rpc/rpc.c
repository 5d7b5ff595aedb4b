#include "rpc/rpc.h"

#include <stdlib.h>

#include "base/budget.h"
#include "obs/metrics.h"
#include "rpc/call.h"
#include "rpc/context.h"
#include "rpc/tile.h"

enum { SPARE_TILES_MAX = 256 };

int rpc_create(struct rpc **out, const struct rpc_config *config, struct failure *failure)
{
    struct rpc *rpc = calloc(1, sizeof(*rpc));

    if (!rpc)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "no memory for the rpc service");
    rpc->config = *config;
    list_init(&rpc->calls);
    list_init(&rpc->spare_tiles);
    pthread_mutex_init(&rpc->reader_lock, NULL);
    *out = rpc;
    return 0;
}

const struct h2_events *rpc_events(void)
{
    return &call_events;
}

void rpc_drain(struct rpc *rpc)
{
    rpc->draining = true;
}

bool rpc_draining(const struct rpc *rpc)
{
    return rpc->draining;
}

void rpc_on_idle(struct rpc *rpc, void (*idle)(void *arg), void *arg)
{
    rpc->idle = idle;
    rpc->idle_arg = arg;
    if (rpc->call_count == 0)
        idle(arg);
}

void rpc_destroy(struct rpc *rpc)
{
    struct list *node;

    if (!rpc)
        return;
    while ((node = list_pop(&rpc->spare_tiles)))
        free(LIST_OWNER(node, struct tile, link));
    pthread_mutex_destroy(&rpc->reader_lock);
    free(rpc);
}

void rpc_gauge(struct rpc *rpc)
{
    metric_set(rpc->config.metrics, M_BUDGET_USED,
               atomic_load(&rpc->config.budget->bytes_used));
    metric_set(rpc->config.metrics, M_QUEUE, pool_queued(rpc->config.pool));
}

struct tile *rpc_tile_get(struct rpc *rpc)
{
    struct list *node = list_pop(&rpc->spare_tiles);
    struct tile *tile;

    if (!node)
        return calloc(1, sizeof(*tile));
    rpc->spare_count--;
    tile = LIST_OWNER(node, struct tile, link);
    *tile = (struct tile){0};
    return tile;
}

void rpc_tile_put(struct rpc *rpc, struct tile *tile)
{
    tile_release_blocks(tile, rpc->config.blocks);
    if (rpc->spare_count >= SPARE_TILES_MAX) {
        free(tile);
        return;
    }
    list_push(&rpc->spare_tiles, &tile->link);
    rpc->spare_count++;
}
