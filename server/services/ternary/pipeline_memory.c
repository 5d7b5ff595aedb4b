/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes of an input the loop hashes, and what memory the tiles' bytes need. */
#include "services/ternary/pipeline_impl.h"

const struct input *pipeline_latents(const struct pipeline *pipeline)
{
    if (pipeline->task.op == TASK_TERNARIZE)
        return &pipeline->tensor;
    return pipeline->task.has_reference ? &pipeline->reference : NULL;
}

bool pipeline_hashes(const struct pipeline *pipeline, const struct input *input)
{
    return pipeline->fingerprint && !pipeline->merge.latents &&
           input == pipeline_latents(pipeline);
}

void pipeline_plan_scratch(const struct pipeline *pipeline, struct tile *tile)
{
    const struct tile_span *span = &tile->span;
    const bool in_place = task_in_place(&pipeline->task);
    const struct input *hashed =
        pipeline->merge.latents ? pipeline_latents(pipeline) : NULL;

    tile->borrows_in = tile->in_source && (!in_place || tile->place) &&
                       span->in_bytes <= SCRATCH_PART_BYTES &&
                       hashed != &pipeline->tensor;
    tile->borrows_reference = tile->reference_source &&
                              tile->reference_filled <= SCRATCH_PART_BYTES &&
                              hashed != &pipeline->reference;
    tile->borrows_out = tile->place && !in_place && span->out_bytes <= SCRATCH_PART_BYTES;
}

int pipeline_prepare_copies(struct pipeline *pipeline, struct tile *tile)
{
    struct call *call = pipeline->call;

    if (tile->in_source && !tile->borrows_in &&
        call_block(call, (size_t)tile->span.in_bytes, &tile->in) < 0)
        return -1;
    return tile->reference_source && !tile->borrows_reference
               ? call_block(call, tile->reference_filled, &tile->reference)
               : 0;
}
