/* SPDX-License-Identifier: Apache-2.0 */
/* Merged tiles are sent as chunks of a stream, or held for a unary reply. Slices point
 * into the tile; when the stream releases the last one, the tile is recycled. */
#include <string.h>

#include "base/clock.h"
#include "obs/metrics.h"
#include "proto/codec/codec.h"
#include "services/ternary/pipeline_impl.h"

void pipeline_keep_credit(struct pipeline *pipeline)
{
    const struct plan *plan = &pipeline->task.plan;

    if (!pipeline->emits_chunks && plan->tiles > 0)
        call_keep_credit(pipeline->call,
                         plan->in_bytes / plan->tiles * pipeline->in_flight);
}

static void tile_left(struct pipeline *pipeline)
{
    pipeline->in_flight--;
    pipeline_keep_credit(pipeline);
    if (pipeline->in_flight < pipeline->in_flight_max)
        call_throttle(pipeline->call, THROTTLE_TILES, false);
}

void pipeline_recycle(struct pipeline *pipeline, struct tile *tile)
{
    struct services *services = services_of(pipeline->call);

    tiles_put(&services->tiles, tile, services->config.blocks);
    tile_left(pipeline);
}

static void tile_slice_released(struct tile *tile)
{
    struct pipeline *pipeline = tile->pipeline;

    if (--tile->lent > 0)
        return;
    pipeline_recycle(pipeline, tile);
    if (pipeline->regions)
        regions_wake(pipeline->regions);
    if (pipeline->more && pipeline->task.held_in)
        timer_arm(pipeline->call->config->timers, &pipeline->more_soon,
                  clock_monotonic_ns());
}

static void head_released(struct h2_slice *slice)
{
    tile_slice_released(LIST_OWNER(slice, struct tile, head_slice));
}

static void out_released(struct h2_slice *slice)
{
    tile_slice_released(LIST_OWNER(slice, struct tile, out_slice));
}

static void scale_head_released(struct h2_slice *slice)
{
    tile_slice_released(LIST_OWNER(slice, struct tile, scale_head_slice));
}

static void scale_released(struct h2_slice *slice)
{
    tile_slice_released(LIST_OWNER(slice, struct tile, scale_slice));
}

static void lend(struct tile *tile, struct h2_slice *slice, const void *bytes,
                 size_t count, void (*release)(struct h2_slice *slice))
{
    *slice = (struct h2_slice){.bytes = bytes, .count = count, .release = release};
    call_write(tile->pipeline->call, slice);
}

static void chunk_released(struct h2_slice *slice)
{
    tile_slice_released(LIST_OWNER(slice, struct out_chunk, slice)->tile);
}

/* False: memory ran out. */
static bool emit_chunk(struct tile *tile, size_t index)
{
    struct out_chunk *chunk = &tile->out_chunks[index];
    const size_t count = tile_out_chunk_bytes(tile, index);
    const uint64_t offset = (uint64_t)index * OUT_CHUNK_BYTES;
    uint8_t head[64];
    const size_t bytes =
        encode_stream_chunk(false, offset, chunk->crc32c, count, head + GRPC_PREFIX_BYTES,
                            sizeof(head) - GRPC_PREFIX_BYTES);

    frame_prefix(head, (uint32_t)(bytes + count));
    if (call_write_copy(tile->pipeline->call, head, bytes + GRPC_PREFIX_BYTES) < 0)
        return false;
    chunk->tile = tile;
    tile->lent++;
    lend(tile, &chunk->slice, tile->out_bytes + offset, count, chunk_released);
    return true;
}

static void emit_chunks(struct tile *tile)
{
    for (size_t i = 0; i < tile->out_chunk_count; i++)
        if (!emit_chunk(tile, i)) {
            h2_reset(tile->pipeline->call->stream, HTTP2_INTERNAL_ERROR);
            break;
        }
    tile_slice_released(tile); /* pipeline_emit has held the tile */
}

/* The message of the output: its bytes, or the region that has them. */
static void emit_output(struct tile *tile)
{
    const size_t room = sizeof(tile->head) - GRPC_PREFIX_BYTES;
    uint8_t *at = tile->head + GRPC_PREFIX_BYTES;
    size_t head;

    if (tile->place) {
        head = encode_stream_region(tile->span.out_offset, &tile->place_region, at, room);
        frame_prefix(tile->head, (uint32_t)head);
    } else {
        head = encode_stream_chunk(false, tile->span.out_offset, tile->out_crc,
                                   tile->span.out_bytes, at, room);
        frame_prefix(tile->head, (uint32_t)(head + tile->span.out_bytes));
    }
    lend(tile, &tile->head_slice, tile->head, head + GRPC_PREFIX_BYTES, head_released);
    if (!tile->place)
        lend(tile, &tile->out_slice, tile->out_bytes, (size_t)tile->span.out_bytes,
             out_released);
}

void pipeline_emit(struct pipeline *pipeline, struct tile *tile)
{
    size_t head;

    state_move(&tile_states, &tile->state, TILE_SENDING);
    tile->lent =
        (tile->scales_out ? 2u : 0u) + (tile->place || tile->out_chunks ? 1u : 2u);
    /* With out_chunks, the one is held until all of them are lent. */
    if (tile->scales_out) {
        head = encode_stream_chunk(
            true,
            tile->span.first_group * (tile->scale_out_bytes / (size_t)tile->span.groups),
            tile->scales_crc, tile->scale_out_bytes, tile->scale_head + GRPC_PREFIX_BYTES,
            sizeof(tile->scale_head) - GRPC_PREFIX_BYTES);
        frame_prefix(tile->scale_head, (uint32_t)(head + tile->scale_out_bytes));
        lend(tile, &tile->scale_head_slice, tile->scale_head, head + GRPC_PREFIX_BYTES,
             scale_head_released);
        lend(tile, &tile->scale_slice, tile->scales_out, tile->scale_out_bytes,
             scale_released);
    }
    metric_add(pipeline->call->config->metrics, M_TENSOR_OUT_BYTES, tile->span.out_bytes);
    if (tile->out_chunks && !tile->place)
        emit_chunks(tile);
    else
        emit_output(tile);
}

void pipeline_hold(struct pipeline *pipeline, struct tile *tile)
{
    if (tile->place && !tile->scales_out) { /* all of it is with the client already */
        metric_add(pipeline->call->config->metrics, M_TENSOR_OUT_BYTES,
                   tile->span.out_bytes);
        pipeline_recycle(pipeline, tile);
        return;
    }
    state_move(&tile_states, &tile->state, TILE_HELD);
    list_push(&pipeline->held, &tile->link);
    tile_left(pipeline);
}

bool pipeline_lend_head(struct pipeline *pipeline, const uint8_t *bytes, size_t count)
{
    struct tile *tile;

    if (list_empty(&pipeline->held) || count > TILE_HEAD_BYTES)
        return false;
    tile = LIST_OWNER(pipeline->held.next, struct tile, link);
    memcpy(tile->head, bytes, count);
    tile->lent = 1;
    lend(tile, &tile->head_slice, tile->head, count, head_released);
    return true;
}

void pipeline_lend_scales(struct pipeline *pipeline)
{
    for (struct list *node = pipeline->held.next; node != &pipeline->held;
         node = node->next) {
        struct tile *tile = LIST_OWNER(node, struct tile, link);

        tile->lent += 2; /* the scales now and the output later */
        lend(tile, &tile->scale_slice, tile->scales_out, tile->scale_out_bytes,
             scale_released);
    }
}

void pipeline_lend_outputs(struct pipeline *pipeline)
{
    struct list *node;

    while ((node = list_pop(&pipeline->held))) {
        struct tile *tile = LIST_OWNER(node, struct tile, link);

        state_move(&tile_states, &tile->state, TILE_SENDING);
        pipeline->in_flight++;
        tile->lent += tile->scales_out ? 0 : 1;
        metric_add(pipeline->call->config->metrics, M_TENSOR_OUT_BYTES,
                   tile->span.out_bytes);
        if (tile->place)
            tile_slice_released(tile);
        else
            lend(tile, &tile->out_slice, tile->out_bytes, (size_t)tile->span.out_bytes,
                 out_released);
    }
}
