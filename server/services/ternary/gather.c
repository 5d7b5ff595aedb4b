/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/gather.h"

#include <string.h>

#include "base/account.h"
#include "services/admission.h"
#include "services/ternary/pipeline_impl.h"

static int keep(struct pipeline *pipeline)
{
    struct gather *gather = pipeline->gather;
    const struct gathered_place place = gathered_place(&gather->pieces);

    if (call_block_grow(pipeline->call, &gather->codes, place.codes_at, place.codes,
                        gathered_code_bytes(&gather->pieces)) < 0 ||
        call_block_grow(pipeline->call, &gather->scales, place.scales_at, place.scales,
                        gathered_scale_bytes(&gather->pieces)) < 0)
        return memory_spent(pipeline->call);
    gathered_keep(&gather->pieces, gather->codes.bytes, gather->scales.bytes);
    return 0;
}

/* All pieces are read: makes the tile of the tensor. */
static int finish(struct pipeline *pipeline)
{
    struct gather *gather = pipeline->gather;
    struct blocks *blocks = services_of(pipeline->call)->config.blocks;
    struct tile *tile = pipeline_next_tile(pipeline, &pipeline->tensor);

    tile_release_blocks(&gather->pieces.tile, blocks);
    if (!tile || tile_prepare(tile, &pipeline->task, blocks, pipeline->call->account) < 0)
        return memory_spent(pipeline->call);
    tile->prepared = true;
    tile->in = gather->codes;
    gather->codes = (struct block){0};
    gathered_finish(&gather->pieces, gather->scales.bytes, tile);
    blocks_put(blocks, &gather->scales);
    return pipeline_submit(pipeline, tile);
}

static int take_piece(struct pipeline *pipeline)
{
    struct gathered *pieces = &pipeline->gather->pieces;
    struct tile *tile = &pieces->tile;
    struct kernels_env env;

    if (tile_prepare(tile, &pieces->task, services_of(pipeline->call)->config.blocks,
                     pipeline->call->account) < 0)
        return memory_spent(pipeline->call);
    kernels_enter(&env);
    tile_pack_piece(tile, &pieces->task, &pieces->shared);
    kernels_leave(&env);
    if (tile->misfit.kind != MISFIT_NONE)
        return misfit_refuse(&tile->misfit, &pipeline->task.plan, pipeline->tensor.field,
                             &pipeline->call->failure);
    if (keep(pipeline) < 0)
        return -1;
    blocks_put(services_of(pipeline->call)->config.blocks, &tile->side);
    return gathered_all(pieces) ? finish(pipeline) : 0;
}

static int fill(struct pipeline *pipeline, const uint8_t *bytes, size_t count)
{
    struct tile *tile = &pipeline->gather->pieces.tile;

    if (call_admit(pipeline->call, pipeline->task.plan.elements) < 0)
        return -1;
    if (!tile->in.bytes && call_block(pipeline->call, TILE_IN_BYTES_MAX, &tile->in) < 0)
        return memory_spent(pipeline->call);
    while (count > 0) {
        const size_t space = (size_t)tile->span.in_bytes - tile->in_filled;
        const size_t taken = space < count ? space : count;

        memcpy(tile->in.bytes + tile->in_filled, bytes, taken);
        tile->in_filled += taken;
        bytes += taken;
        count -= taken;
        if (taken == space && take_piece(pipeline) < 0)
            return -1;
    }
    return 0;
}

int gather_start(struct pipeline *pipeline)
{
    struct call *call = pipeline->call;
    struct gather *gather;

    if (!task_gathers(&pipeline->task))
        return 0;
    gather = account_calloc(call->account, 1, sizeof(*gather));
    if (!gather)
        return memory_spent(call);
    pipeline->gather = gather;
    gathered_init(&gather->pieces, &pipeline->task);
    pipeline->tensor.fill = fill;
    return 0;
}

void gather_free(struct pipeline *pipeline)
{
    struct gather *gather = pipeline->gather;
    struct blocks *blocks = services_of(pipeline->call)->config.blocks;

    if (!gather)
        return;
    tile_release_blocks(&gather->pieces.tile, blocks);
    blocks_put(blocks, &gather->codes);
    blocks_put(blocks, &gather->scales);
    account_free(pipeline->call->account, gather);
    pipeline->gather = NULL;
}
