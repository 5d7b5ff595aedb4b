/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/gather.h"

#include <string.h>

#include "base/account.h"
#include "services/admission.h"
#include "services/ternary/pipeline_impl.h"
#include "services/ternary/tile_pieces.h"

/* The span of the piece that comes next. */
static void next_span(struct gather *gather, const struct plan *plan)
{
    const uint64_t left = plan->elements - gather->next_element;
    const uint64_t count = left < PIECE_ELEMENTS ? left : PIECE_ELEMENTS;

    if (plan->groups > 1)
        plan_piece(plan, gather->next_group, &gather->tile.span);
    else /* a dense tensor is one group: some of its elements */
        gather->tile.span = (struct tile_span){
            .groups = 1,
            .first_element = gather->next_element,
            .elements = count,
            .in_bytes = count * dtype_bytes(plan->spec.dtype),
            .code_bytes = (count + 3) / 4,
        };
    gather->tile.in_filled = 0;
}

static int keep(struct pipeline *pipeline)
{
    struct gather *gather = pipeline->gather;
    const struct tile *tile = &gather->tile;
    const struct plan *plan = &pipeline->task.plan;
    const uint64_t group = plan->groups > 1 ? gather->groups : 0;
    const size_t at = gather->code_bytes, count = (size_t)tile->span.code_bytes;
    const size_t from = (size_t)group * sizeof(float);
    const size_t bytes = (size_t)tile->span.groups * sizeof(float);

    if (call_block_grow(pipeline->call, &gather->codes, at, count,
                        gather->all_code_bytes) < 0 ||
        call_block_grow(pipeline->call, &gather->scales, from, bytes,
                        (size_t)plan->groups * sizeof(float)) < 0)
        return memory_spent(pipeline->call);
    memcpy(gather->codes.bytes + at, tile->codes, count);
    memcpy(gather->scales.bytes + from, tile->scales, bytes);
    gather->code_bytes += count;
    gather->groups = group + tile->span.groups;
    ternary_counts_add(&gather->counts, &tile->counts, tile->span.first_element, group);
    ternary_check_add(&gather->check, &tile->check, tile->span.first_element, group);
    storage_check_add(&gather->storage, &tile->storage, group);
    return 0;
}

/* The pieces of one group have counted it each. */
static void count_group_once(struct gather *gather, struct tile *tile)
{
    pieces_count_once(tile);
    tile->scales[0] = gather->shared.scale;
    tile->counts.zero_groups = gather->shared.scale == 0;
    if (tile->storage.subnormal.count)
        tile->storage.subnormal.count = 1;
}

/* All pieces are read: makes the tile of the tensor. */
static int finish(struct pipeline *pipeline)
{
    struct gather *gather = pipeline->gather;
    struct blocks *blocks = services_of(pipeline->call)->config.blocks;
    struct tile *tile = pipeline_next_tile(pipeline, &pipeline->tensor);

    tile_release_blocks(&gather->tile, blocks);
    if (!tile || tile_prepare(tile, &pipeline->task, blocks, pipeline->call->account) < 0)
        return memory_spent(pipeline->call);
    tile->prepared = true;
    tile->in = gather->codes;
    gather->codes = (struct block){0};
    tile->codes = tile->in.bytes;
    tile->counts = gather->counts;
    tile->check = gather->check;
    tile->storage = gather->storage;
    memcpy(tile->scales, gather->scales.bytes,
           (size_t)gather->groups * sizeof(*tile->scales));
    blocks_put(blocks, &gather->scales);
    if (gather->groups == 1)
        count_group_once(gather, tile);
    for (uint64_t group = 0; group < gather->groups; group++)
        tile->held_scales[group] = gather->shared.scale;
    return pipeline_submit(pipeline, tile);
}

static int take_piece(struct pipeline *pipeline)
{
    struct gather *gather = pipeline->gather;
    struct tile *tile = &gather->tile;
    struct kernels_env env;

    if (tile_prepare(tile, &gather->task, services_of(pipeline->call)->config.blocks,
                     pipeline->call->account) < 0)
        return memory_spent(pipeline->call);
    kernels_enter(&env);
    tile_pack_piece(tile, &gather->task, &gather->shared);
    kernels_leave(&env);
    if (tile->misfit.kind != MISFIT_NONE)
        return misfit_refuse(&tile->misfit, &pipeline->task.plan, pipeline->tensor.field,
                             &pipeline->call->failure);
    if (keep(pipeline) < 0)
        return -1;
    gather->next_group += tile->span.groups;
    gather->next_element += tile->span.elements;
    blocks_put(services_of(pipeline->call)->config.blocks, &tile->side);
    if (gather->next_element == pipeline->task.plan.elements)
        return finish(pipeline);
    next_span(gather, &pipeline->task.plan);
    return 0;
}

static int fill(struct pipeline *pipeline, const uint8_t *bytes, size_t count)
{
    struct tile *tile = &pipeline->gather->tile;

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
    struct tile_span span;
    struct gather *gather;

    if (!task_gathers(&pipeline->task))
        return 0;
    gather = account_calloc(call->account, 1, sizeof(*gather));
    if (!gather)
        return memory_spent(call);
    pipeline->gather = gather;
    gather->task = pipeline->task;
    gather->task.plan.spec.has_out = false;
    gather->task.in_pieces = false;
    ternary_counts_init(&gather->counts);
    ternary_check_init(&gather->check);
    storage_check_init(&gather->storage);
    plan_tile(&gather->task.plan, 0, &span);
    gather->all_code_bytes = (size_t)span.code_bytes;
    next_span(gather, &pipeline->task.plan);
    pipeline->tensor.fill = fill;
    return 0;
}

void gather_free(struct pipeline *pipeline)
{
    struct gather *gather = pipeline->gather;
    struct blocks *blocks = services_of(pipeline->call)->config.blocks;

    if (!gather)
        return;
    tile_release_blocks(&gather->tile, blocks);
    blocks_put(blocks, &gather->codes);
    blocks_put(blocks, &gather->scales);
    account_free(pipeline->call->account, gather);
    pipeline->gather = NULL;
}
