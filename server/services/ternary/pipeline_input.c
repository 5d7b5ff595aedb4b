/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes fill tiles; a full tile goes to the pool. */
#include <string.h>

#include "obs/metrics.h"
#include "services/ternary/pipeline_impl.h"

/* The tile at `index`, if the other input has created it. */
static struct tile *find_tile(struct pipeline *pipeline, uint64_t index)
{
    for (struct list *node = pipeline->tiles.next; node != &pipeline->tiles;
         node = node->next) {
        struct tile *tile = LIST_OWNER(node, struct tile, link);

        if (tile->span.index == index)
            return tile;
    }
    return NULL;
}

struct tile *pipeline_next_tile(struct pipeline *pipeline, struct input *input)
{
    struct tile *tile;

    if (!input->tile && pipeline->task.has_reference)
        input->tile = find_tile(pipeline, input->next);
    if (input->tile)
        return input->tile;
    tile = tiles_get(&services_of(pipeline->call)->tiles);
    if (!tile)
        return NULL;
    tile->pipeline = pipeline;
    plan_tile(&pipeline->task.plan, input->next, &tile->span);
    list_push(&pipeline->tiles, &tile->link);
    input->tile = tile;
    return tile;
}

struct fill_target { /* the buffer of a tile that an input fills */
    struct block *block;
    size_t *filled;
    size_t bytes;
};

static struct fill_target fill_target_of(struct pipeline *pipeline,
                                         const struct input *input, struct tile *tile)
{
    if (input == &pipeline->tensor)
        return (struct fill_target){&tile->in, &tile->in_filled,
                                    (size_t)tile->span.in_bytes};
    return (struct fill_target){&tile->reference, &tile->reference_filled,
                                (size_t)tile->span.elements *
                                    dtype_bytes(pipeline->task.reference_dtype)};
}

static bool tile_full(struct pipeline *pipeline, struct tile *tile)
{
    struct fill_target tensor = fill_target_of(pipeline, &pipeline->tensor, tile);
    struct fill_target reference = fill_target_of(pipeline, &pipeline->reference, tile);

    return *tensor.filled == tensor.bytes &&
           (!pipeline->task.has_reference || *reference.filled == reference.bytes);
}

/* The next tile is the one that the other input has created, if it has. */
static void advance(struct pipeline *pipeline, struct input *input)
{
    struct list *next = input->tile->link.next;

    input->next++;
    input->tile = next == &pipeline->tiles ? NULL : LIST_OWNER(next, struct tile, link);
}

/* Makes space for at least one byte. The buffer of a tile is one block, which grows where
 * the tile is the whole tensor. -1: no memory. */
static int fill_target_grow(struct call *call, const struct fill_target *fill_target)
{
    return call_block_grow(call, fill_target->block, *fill_target->filled, 1,
                           fill_target->bytes);
}

static size_t fill_target_space(const struct fill_target *fill_target)
{
    size_t size = fill_target->block->size;

    return (size < fill_target->bytes ? size : fill_target->bytes) - *fill_target->filled;
}

uint64_t pipeline_tile_needs(struct pipeline *pipeline, const struct input *input,
                             struct tile *tile)
{
    const struct fill_target target = fill_target_of(pipeline, input, tile);

    return target.bytes - *target.filled;
}

bool pipeline_tile_is_empty(struct pipeline *pipeline, const struct input *input,
                            struct tile *tile)
{
    return *fill_target_of(pipeline, input, tile).filled == 0;
}

int pipeline_filled(struct pipeline *pipeline, struct input *input, struct tile *tile)
{
    advance(pipeline, input);
    return tile->direct || tile_full(pipeline, tile) ? pipeline_submit(pipeline, tile)
                                                     : 0;
}

int pipeline_fill_from(struct pipeline *pipeline, struct input *input, struct tile *tile,
                       const uint8_t *source)
{
    const struct fill_target target = fill_target_of(pipeline, input, tile);

    if (input == &pipeline->tensor)
        tile->in_source = source;
    else
        tile->reference_source = source;
    *target.filled = target.bytes;
    return pipeline_filled(pipeline, input, tile);
}

void pipeline_received(struct pipeline *pipeline, struct input *input, uint64_t count)
{
    metric_add(pipeline->call->config->metrics, M_TENSOR_IN_BYTES, count);
    input->received += count;
}

int pipeline_feed(struct pipeline *pipeline, struct input *input, const uint8_t *bytes,
                  size_t count)
{
    pipeline_received(pipeline, input, count);
    if (input->fill)
        return input->fill(pipeline, bytes, count);
    return input->direct ? input->direct(pipeline, bytes, count)
                         : pipeline_fill(pipeline, input, bytes, count);
}

int pipeline_fill(struct pipeline *pipeline, struct input *input, const uint8_t *bytes,
                  size_t count)
{
    struct call *call = pipeline->call;

    while (count > 0) {
        struct tile *tile = pipeline_next_tile(pipeline, input);
        struct fill_target fill_target = {0};
        size_t taken;

        if (tile)
            fill_target = fill_target_of(pipeline, input, tile);
        if (!tile || fill_target_grow(call, &fill_target) < 0)
            return memory_spent(call);
        taken = fill_target_space(&fill_target);
        taken = taken < count ? taken : count;
        memcpy(fill_target.block->bytes + *fill_target.filled, bytes, taken);
        if (pipeline_hashes(pipeline, input))
            fingerprint_update(pipeline->fingerprint,
                               fill_target.block->bytes + *fill_target.filled, taken);
        *fill_target.filled += taken;
        bytes += taken;
        count -= taken;
        if (*fill_target.filled < fill_target.bytes)
            continue;
        if (pipeline_filled(pipeline, input, tile) < 0)
            return -1;
        if (call->state == CALL_ENDED || call->state == CALL_CLOSED)
            return 0;
    }
    return 0;
}
