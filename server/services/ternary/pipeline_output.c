/* SPDX-License-Identifier: Apache-2.0 */
/* Merged tiles are sent as chunks of a stream, or held for a unary reply. Slices point
 * into the tile; when the stream releases the last one, the tile is recycled. */
#include "obs/metrics.h"
#include "proto/codec/codec.h"
#include "services/ternary/pipeline_impl.h"

void pipeline_recycle(struct pipeline *pipeline, struct tile *tile)
{
    struct services *services = services_of(pipeline->call);

    tiles_put(&services->tiles, tile, services->config.blocks);
    if (--pipeline->in_flight < TILES_IN_FLIGHT_MAX)
        call_throttle(pipeline->call, THROTTLE_TILES, false);
}

static void tile_slice_released(struct tile *tile)
{
    if (--tile->lent == 0)
        pipeline_recycle(tile->pipeline, tile);
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

void pipeline_emit(struct pipeline *pipeline, struct tile *tile)
{
    size_t head;

    state_move(&tile_states, &tile->state, TILE_SENDING);
    tile->lent = tile->scales_out ? 4 : 2;
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
    head = encode_stream_chunk(false, tile->span.out_offset, tile->out_crc,
                               tile->span.out_bytes, tile->head + GRPC_PREFIX_BYTES,
                               sizeof(tile->head) - GRPC_PREFIX_BYTES);
    frame_prefix(tile->head, (uint32_t)(head + tile->span.out_bytes));
    lend(tile, &tile->head_slice, tile->head, head + GRPC_PREFIX_BYTES, head_released);
    lend(tile, &tile->out_slice, tile->out_bytes, (size_t)tile->span.out_bytes,
         out_released);
    metric_add(pipeline->call->config->metrics, M_TENSOR_OUT_BYTES, tile->span.out_bytes);
}

void pipeline_hold(struct pipeline *pipeline, struct tile *tile)
{
    state_move(&tile_states, &tile->state, TILE_HELD);
    list_push(&pipeline->held, &tile->link);
    if (--pipeline->in_flight < TILES_IN_FLIGHT_MAX)
        call_throttle(pipeline->call, THROTTLE_TILES, false);
}

void pipeline_lend_scales(struct pipeline *pipeline)
{
    for (struct list *node = pipeline->held.next; node != &pipeline->held;
         node = node->next) {
        struct tile *tile = LIST_OWNER(node, struct tile, link);

        tile->lent = 2; /* the scales now and the output later */
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
        lend(tile, &tile->out_slice, tile->out_bytes, (size_t)tile->span.out_bytes,
             out_released);
    }
}
