/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/tile.h"

#include <string.h>

static const struct state_row rows[TILE_STATES] = {
    [TILE_FILLING] = {"filling", STATE_TO(TILE_RUNNING)},
    [TILE_RUNNING] = {"running", STATE_TO(TILE_DONE)},
    [TILE_DONE] = {"done", STATE_TO(TILE_HELD) | STATE_TO(TILE_SENDING)},
    [TILE_HELD] = {"held", STATE_TO(TILE_SENDING)},
    [TILE_SENDING] = {"sending", 0},
};
const struct states tile_states = STATES("tile", rows);

static size_t align_up(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* The arrays of the side block, in this order. */
enum side_array {
    SIDE_SCALES,
    SIDE_SUMS,
    SIDE_CODES,
    SIDE_NARROW_SCALES, /* f16 scales of the output */
    SIDE_WIDE_SCALES,   /* f16 or bf16 scales of the input, as f32 */
    SIDE_TRITS,
    SIDE_HELD,
    SIDE_UNIT_SCALES,
    SIDE_UNIT_INEXACT,
    SIDE_FLAT_CODES,
    SIDE_OUT_CHUNKS,
    SIDE_INEXACT,
    SIDE_HASHES,
    SIDE_ARRAYS,
};

/* The arrays that only packing needs. */
static size_t pack_bytes(const struct tile *tile, const struct task *task,
                         enum side_array part)
{
    size_t groups = (size_t)tile->span.groups, elements = (size_t)tile->span.elements;
    size_t unit = task_unit_elements(task), units = unit ? elements / unit : 0;

    if (task->op != TASK_PACK)
        return 0;
    if (part == SIDE_HELD)
        return groups * sizeof(float);
    if (part == SIDE_UNIT_SCALES)
        return units * sizeof(float);
    if (part == SIDE_UNIT_INEXACT)
        return units;
    return task_interleaves(task) && groups > 1 && task_pads_codes(task) ? elements / 4
                                                                         : 0;
}

static size_t out_chunks(const struct tile *tile, const struct task *task)
{
    if (!task->in_pieces || !task->plan.spec.has_out)
        return 0;
    return (size_t)((tile->span.out_bytes + OUT_CHUNK_BYTES - 1) / OUT_CHUNK_BYTES);
}

size_t tile_out_chunk_bytes(const struct tile *tile, size_t index)
{
    const size_t left = (size_t)tile->span.out_bytes - index * OUT_CHUNK_BYTES;

    return left < OUT_CHUNK_BYTES ? left : OUT_CHUNK_BYTES;
}

static size_t side_bytes(const struct tile *tile, const struct task *task,
                         enum side_array part)
{
    size_t groups = (size_t)tile->span.groups;
    bool packs = task->op == TASK_PACK;
    bool has_hashes = task->wants_codes && task->op != TASK_UNPACK && !packs;

    switch (part) {
    case SIDE_SCALES:
        return groups * sizeof(float);
    case SIDE_SUMS:
        return task->wants_sums ? groups * sizeof(struct group_sums) : 0;
    case SIDE_CODES:
        if (task_gathers(task))
            return 0; /* they are in `in` */
        return task->wants_codes || packs || task_interleaves(task) || task->in_pieces
                   ? (size_t)tile->span.code_bytes
                   : 0;
    case SIDE_NARROW_SCALES:
        return task_scale_out_bytes(task) == 2 ? groups * 2 : 0;
    case SIDE_WIDE_SCALES:
        return task_widens_scales(task) || task_spreads_scale(task)
                   ? groups * sizeof(float)
                   : 0;
    case SIDE_TRITS:
        if (!task_reads_trits(task))
            return 0;
        return task->in_pieces ? TILE_ELEMENTS_MAX : (size_t)tile->span.elements;
    case SIDE_OUT_CHUNKS:
        return out_chunks(tile, task) * sizeof(struct out_chunk);
    case SIDE_HELD:
    case SIDE_UNIT_SCALES:
    case SIDE_UNIT_INEXACT:
    case SIDE_FLAT_CODES:
        return pack_bytes(tile, task, part);
    case SIDE_INEXACT:
        return has_hashes || packs ? groups : 0;
    case SIDE_HASHES:
        return has_hashes ? groups * TILE_HASH_BYTES : 0;
    case SIDE_ARRAYS:
        break;
    }
    return 0;
}

static void place_side(struct tile *tile, uint8_t *const part[SIDE_ARRAYS], size_t width)
{
    uint8_t *wide = part[SIDE_HELD] ? part[SIDE_HELD] : part[SIDE_SCALES];

    tile->scales = (float *)(void *)part[SIDE_SCALES];
    tile->sums = (struct group_sums *)(void *)part[SIDE_SUMS];
    tile->codes = part[SIDE_CODES];
    tile->scales_out = width == 4 ? wide : width == 2 ? part[SIDE_NARROW_SCALES] : NULL;
    tile->wide_scales = (float *)(void *)part[SIDE_WIDE_SCALES];
    tile->trits = (int8_t *)part[SIDE_TRITS];
    tile->held_scales = (float *)(void *)part[SIDE_HELD];
    tile->unit_scales = (float *)(void *)part[SIDE_UNIT_SCALES];
    tile->unit_inexact = part[SIDE_UNIT_INEXACT];
    tile->flat_codes = part[SIDE_FLAT_CODES];
    tile->out_chunks = (struct out_chunk *)(void *)part[SIDE_OUT_CHUNKS];
    tile->inexact = part[SIDE_INEXACT];
    tile->inexact_hashes = (uint8_t(*)[TILE_HASH_BYTES])part[SIDE_HASHES];
}

size_t tile_side_bytes(const struct tile *tile, const struct task *task)
{
    size_t bytes = 0;

    for (int part = 0; part < SIDE_ARRAYS; part++)
        bytes += align_up(side_bytes(tile, task, (enum side_array)part));
    return bytes;
}

/* Divides the side block. */
static void divide_side(struct tile *tile, const struct task *task)
{
    uint8_t *parts_at[SIDE_ARRAYS];
    size_t at = 0;

    for (int part = 0; part < SIDE_ARRAYS; part++) {
        const size_t bytes = align_up(side_bytes(tile, task, (enum side_array)part));

        parts_at[part] = bytes ? tile->side.bytes + at : NULL;
        at += bytes;
    }
    place_side(tile, parts_at, task_scale_out_bytes(task));
    tile->out_chunk_count = out_chunks(tile, task);
    if (tile->inexact)
        memset(tile->inexact, 0, (size_t)tile->span.groups);
}

void tile_place_out(struct tile *tile, const struct task *task)
{
    tile->out_bytes = !task->plan.spec.has_out ? NULL
                      : task_in_place(task)    ? tile->in.bytes
                                               : tile->out.bytes;
}

int tile_prepare(struct tile *tile, const struct task *task, struct blocks *blocks,
                 struct account *account)
{
    struct block out = {0};

    if (task->plan.spec.has_out && !task_in_place(task) && !tile->borrows_out &&
        blocks_get_for(blocks, account, (size_t)tile->span.out_bytes, &out) < 0)
        return -1;
    if (task->op != TASK_PASS &&
        blocks_get_for(blocks, account, tile_side_bytes(tile, task), &tile->side) < 0) {
        blocks_put(blocks, &out);
        return -1;
    }
    tile->out = out;
    tile_use(tile, task);
    return 0;
}

void tile_use(struct tile *tile, const struct task *task)
{
    if (task->op != TASK_PASS)
        divide_side(tile, task);
    tile_place_out(tile, task);
    tile->scale_out_bytes = task->plan.whole
                                ? (size_t)task->plan.out_scale_bytes
                                : (size_t)tile->span.groups * task_scale_out_bytes(task);
    tile_results_init(tile);
}

void tile_results_init(struct tile *tile)
{
    ternary_counts_init(&tile->counts);
    ternary_check_init(&tile->check);
    tile->refused.element = tile->mixed_group = UINT64_MAX;
    tile->hash_failed = false;
    tile->misfit = (struct misfit){.kind = MISFIT_NONE};
    tile->rounded = (struct occurrences){0, UINT64_MAX};
    tile->lost = (struct occurrences){0, UINT64_MAX};
    tile->lost_scale = 0;
    storage_check_init(&tile->storage);
    tile->inexact_count = 0;
}

void tile_trim(struct tile *tile, const struct task *task, struct blocks *blocks)
{
    blocks_put(blocks, &tile->reference);
    if (!task_in_place(task) || tile->place)
        blocks_put(blocks, &tile->in);
    if (tile->place)
        blocks_put(blocks, &tile->out);
    if (!tile->scales_out && !tile->out_chunks)
        blocks_put(blocks, &tile->side);
}

void tile_release_blocks(struct tile *tile, struct blocks *blocks)
{
    blocks_put(blocks, &tile->in);
    blocks_put(blocks, &tile->reference);
    blocks_put(blocks, &tile->out);
    blocks_put(blocks, &tile->side);
}
