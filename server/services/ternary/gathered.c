/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/gathered.h"

#include <string.h>

#include "services/ternary/tile_pieces.h"

/* The span of the piece that comes next. */
static void next_span(struct gathered *gathered)
{
    const struct plan *plan = &gathered->task.plan;
    const uint64_t left = plan->elements - gathered->next_element;
    const uint64_t count = left < PIECE_ELEMENTS ? left : PIECE_ELEMENTS;

    if (plan->groups > 1)
        plan_piece(plan, gathered->next_group, &gathered->tile.span);
    else /* a dense tensor is one group: some of its elements */
        gathered->tile.span = (struct tile_span){
            .groups = 1,
            .first_element = gathered->next_element,
            .elements = count,
            .in_bytes = count * dtype_bytes(plan->spec.dtype),
            .code_bytes = (count + 3) / 4,
        };
    gathered->tile.in_filled = 0;
}

void gathered_init(struct gathered *gathered, const struct task *task)
{
    *gathered = (struct gathered){.task = *task};
    gathered->task.plan.spec.has_out = false;
    gathered->task.in_pieces = false;
    ternary_counts_init(&gathered->counts);
    ternary_check_init(&gathered->check);
    storage_check_init(&gathered->storage);
    next_span(gathered);
}

size_t gathered_code_bytes(const struct gathered *gathered)
{
    struct tile_span span;

    plan_tile(&gathered->task.plan, 0, &span);
    return (size_t)span.code_bytes;
}

size_t gathered_scale_bytes(const struct gathered *gathered)
{
    return (size_t)gathered->task.plan.groups * sizeof(float);
}

static uint64_t first_group(const struct gathered *gathered)
{
    return gathered->task.plan.groups > 1 ? gathered->groups : 0;
}

struct gathered_place gathered_place(const struct gathered *gathered)
{
    const struct tile_span *span = &gathered->tile.span;

    return (struct gathered_place){
        .codes_at = gathered->code_bytes,
        .codes = (size_t)span->code_bytes,
        .scales_at = (size_t)first_group(gathered) * sizeof(float),
        .scales = (size_t)span->groups * sizeof(float),
    };
}

void gathered_keep(struct gathered *gathered, uint8_t *codes, uint8_t *scales)
{
    const struct gathered_place place = gathered_place(gathered);
    const struct tile *tile = &gathered->tile;
    const uint64_t group = first_group(gathered);

    memcpy(codes + place.codes_at, tile->codes, place.codes);
    memcpy(scales + place.scales_at, tile->scales, place.scales);
    gathered->code_bytes += place.codes;
    gathered->groups = group + tile->span.groups;
    ternary_counts_add(&gathered->counts, &tile->counts, tile->span.first_element, group);
    ternary_check_add(&gathered->check, &tile->check, tile->span.first_element, group);
    storage_check_add(&gathered->storage, &tile->storage, group);
    gathered->next_group += tile->span.groups;
    gathered->next_element += tile->span.elements;
    if (!gathered_all(gathered))
        next_span(gathered);
}

bool gathered_all(const struct gathered *gathered)
{
    return gathered->next_element == gathered->task.plan.elements;
}

/* The pieces of one group have counted it each. */
static void count_group_once(const struct gathered *gathered, struct tile *tile)
{
    pieces_count_once(tile);
    tile->scales[0] = gathered->shared.scale;
    tile->counts.zero_groups = gathered->shared.scale == 0;
    if (tile->storage.subnormal.count)
        tile->storage.subnormal.count = 1;
}

void gathered_finish(const struct gathered *gathered, const uint8_t *scales,
                     struct tile *tile)
{
    tile->codes = tile->in.bytes;
    tile->counts = gathered->counts;
    tile->check = gathered->check;
    tile->storage = gathered->storage;
    memcpy(tile->scales, scales, (size_t)gathered->groups * sizeof(*tile->scales));
    if (gathered->groups == 1)
        count_group_once(gathered, tile);
    for (uint64_t group = 0; group < gathered->groups; group++)
        tile->held_scales[group] = gathered->shared.scale;
}
