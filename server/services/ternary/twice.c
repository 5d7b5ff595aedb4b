/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/twice.h"

#include <string.h>

#include "base/account.h"
#include "obs/metrics.h"
#include "services/admission.h"
#include "services/ternary/pipeline_impl.h"

void twice_free(struct pipeline *pipeline)
{
    if (!pipeline->twice)
        return;
    blocks_put(services_of(pipeline->call)->config.blocks, &pipeline->twice->piece);
    account_free(pipeline->call->account, pipeline->twice);
    pipeline->twice = NULL;
}

/* The whole tensor; with a reference, its claim has come. -1: no memory. */
static int prepare_tile(struct pipeline *pipeline, struct tile **tile)
{
    struct call *call = pipeline->call;

    if (!pipeline_next_tile(pipeline, pipeline->twice->input) ||
        tile_prepare(LIST_OWNER(pipeline->tiles.next, struct tile, link), &pipeline->task,
                     services_of(call)->config.blocks, call->account) < 0)
        return memory_spent(call);
    *tile = LIST_OWNER(pipeline->tiles.next, struct tile, link);
    (*tile)->prepared = true;
    return 0;
}

static void compute(struct pipeline *pipeline, size_t count)
{
    struct twice *twice = pipeline->twice;
    const struct piece_of piece = {twice->element, count, twice->piece.bytes};
    struct kernels_env env;
    struct tile *tile;

    kernels_enter(&env);
    if (!twice->coding) {
        pieces_measure(&twice->pieces, &pipeline->task, &piece);
    } else {
        tile = LIST_OWNER(pipeline->tiles.next, struct tile, link);
        if (pipeline->task.op == TASK_TERNARIZE)
            pieces_project(&twice->pieces, tile, &pipeline->task, &piece);
        else
            pieces_verify(&twice->pieces, tile, &pipeline->task, &piece);
    }
    kernels_leave(&env);
}

/* All bytes have come once, or twice. */
static int all_came(struct pipeline *pipeline)
{
    struct twice *twice = pipeline->twice;
    struct tile *tile;

    twice->element = 0;
    if (!twice->coding) {
        pieces_measured(&twice->pieces, &pipeline->task);
        twice->coding = true;
        return prepare_tile(pipeline, &tile);
    }
    tile = LIST_OWNER(pipeline->tiles.next, struct tile, link);
    pieces_end(&twice->pieces, tile, &pipeline->task);
    blocks_put(services_of(pipeline->call)->config.blocks, &twice->piece);
    return pipeline_submit(pipeline, tile);
}

static int fill(struct pipeline *pipeline, const uint8_t *bytes, size_t count)
{
    struct twice *twice = pipeline->twice;
    const uint64_t all = pipeline->task.plan.elements;
    const size_t width = (size_t)(twice->input->expected / 2 / all);

    if (call_admit(pipeline->call, all) < 0)
        return -1;
    if (!twice->piece.bytes && count > 0 &&
        call_block(pipeline->call, PIECE_ELEMENTS * width, &twice->piece) < 0)
        return memory_spent(pipeline->call);
    while (count > 0) {
        const uint64_t left = all - twice->element;
        const size_t elements = left < PIECE_ELEMENTS ? (size_t)left : PIECE_ELEMENTS;
        const size_t space = elements * width - twice->filled;
        const size_t taken = space < count ? space : count;

        memcpy(twice->piece.bytes + twice->filled, bytes, taken);
        if (pipeline->fingerprint && !twice->coding)
            fingerprint_update(pipeline->fingerprint, twice->piece.bytes + twice->filled,
                               taken);
        twice->filled += taken;
        bytes += taken;
        count -= taken;
        if (taken < space)
            continue;
        compute(pipeline, elements);
        twice->filled = 0;
        twice->element += elements;
        if (twice->element == all && all_came(pipeline) < 0)
            return -1;
    }
    return 0;
}

int twice_start(struct pipeline *pipeline)
{
    const struct task *task = &pipeline->task;
    struct call *call = pipeline->call;

    if (!task->in_pieces || !pipeline_latents(pipeline))
        return 0;
    pipeline->twice = account_calloc(call->account, 1, sizeof(*pipeline->twice));
    if (!pipeline->twice)
        return memory_spent(call);
    pipeline->twice->input =
        task->op == TASK_TERNARIZE ? &pipeline->tensor : &pipeline->reference;
    pipeline->twice->input->fill = fill;
    pipeline->twice->input->expected *= 2; /* at most WHOLE_ELEMENTS_MAX * 8 */
    return 0;
}
