/* Bytes fill tiles; a full one goes to the pool. */
#include <string.h>

#include "obs/metrics.h"
#include "rpc/flow_impl.h"

/* The tile at `index`, if the other feed has made it. */
static struct tile *made_tile(struct flow *flow, uint64_t index)
{
    for (struct list *node = flow->tiles.next; node != &flow->tiles; node = node->next) {
        struct tile *tile = LIST_OWNER(node, struct tile, link);

        if (tile->span.index == index)
            return tile;
    }
    return NULL;
}

static struct tile *next_tile(struct flow *flow, struct feed *feed)
{
    struct tile *tile;

    if (!feed->tile && flow->task.has_reference)
        feed->tile = made_tile(flow, feed->next);
    if (feed->tile)
        return feed->tile;
    tile = rpc_tile_get(flow->call->rpc);
    if (!tile)
        return NULL;
    tile->flow = flow;
    plan_tile(&flow->task.plan, feed->next, &tile->span);
    list_push(&flow->tiles, &tile->link);
    feed->tile = tile;
    return tile;
}

struct vessel { /* the part of a tile that a feed fills */
    struct block *block;
    size_t *filled;
    size_t bytes;
};

static struct vessel vessel_of(struct flow *flow, const struct feed *feed,
                               struct tile *tile)
{
    if (feed == &flow->tensor)
        return (struct vessel){&tile->in, &tile->in_filled, (size_t)tile->span.in_bytes};
    return (struct vessel){&tile->reference, &tile->reference_filled,
                           (size_t)tile->span.elements *
                               dtype_bytes(flow->task.reference_dtype)};
}

static bool tile_full(struct flow *flow, struct tile *tile)
{
    struct vessel tensor = vessel_of(flow, &flow->tensor, tile);
    struct vessel reference = vessel_of(flow, &flow->reference, tile);

    return *tensor.filled == tensor.bytes &&
           (!flow->task.has_reference || *reference.filled == reference.bytes);
}

/* The feed goes on with the tile that the other feed has made already, if any. */
static void advance(struct flow *flow, struct feed *feed)
{
    struct list *next = feed->tile->link.next;

    feed->next++;
    feed->tile = next == &flow->tiles ? NULL : LIST_OWNER(next, struct tile, link);
}

/* Room for the next byte. A tile is one block; what comes whole, however large, gets
 * its memory as it comes. -1: no memory. */
static int vessel_grow(struct blocks *blocks, const struct vessel *vessel)
{
    struct block *block = vessel->block, grown;
    size_t size = block->bytes ? block->size * 2 : TILE_IN_BYTES_MAX;

    if (*vessel->filled < block->size)
        return 0;
    if (blocks_get(blocks, size < vessel->bytes ? size : vessel->bytes, &grown) < 0)
        return -1;
    if (block->bytes)
        memcpy(grown.bytes, block->bytes, *vessel->filled);
    blocks_put(blocks, block);
    *block = grown;
    return 0;
}

static size_t vessel_room(const struct vessel *vessel)
{
    size_t size = vessel->block->size;

    return (size < vessel->bytes ? size : vessel->bytes) - *vessel->filled;
}

int flow_feed(struct flow *flow, struct feed *feed, const uint8_t *bytes, size_t count)
{
    struct call *call = flow->call;

    metric_add(call->rpc->config.metrics, M_TENSOR_IN_BYTES, count);
    feed->received += count;
    if (flow->fingerprint && count > 0 && feed == flow_latents(flow))
        fingerprint_update(flow->fingerprint, bytes, count);
    while (count > 0) {
        struct tile *tile = next_tile(flow, feed);
        struct vessel vessel = {0};
        size_t part;

        if (tile)
            vessel = vessel_of(flow, feed, tile);
        if (!tile || vessel_grow(call->rpc->config.blocks, &vessel) < 0)
            return memory_spent(call);
        part = vessel_room(&vessel);
        part = part < count ? part : count;
        memcpy(vessel.block->bytes + *vessel.filled, bytes, part);
        *vessel.filled += part;
        bytes += part;
        count -= part;
        if (*vessel.filled == vessel.bytes) {
            advance(flow, feed);
            if (tile_full(flow, tile) && flow_submit(flow, tile) < 0)
                return -1;
            if (call->state == CALL_ENDED || call->state == CALL_CLOSED)
                return 0;
        }
    }
    return 0;
}
