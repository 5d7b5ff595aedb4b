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

/* The arrays that only packing needs. */
static void measure_pack(const struct tile *tile, const struct task *task,
                         size_t bytes[SIDE_ARRAYS])
{
    const size_t groups = (size_t)tile->span.groups,
                 elements = (size_t)tile->span.elements, unit = task_unit_elements(task),
                 units = unit ? elements / unit : 0;

    bytes[SIDE_HELD] = groups * sizeof(float);
    bytes[SIDE_UNIT_SCALES] = units * sizeof(float);
    bytes[SIDE_UNIT_INEXACT] = units;
    if (task_interleaves(task) && groups > 1 && task_pads_codes(task))
        bytes[SIDE_FLAT_CODES] = elements / 4;
}

static void measure_arrays(const struct tile *tile, const struct task *task,
                           size_t bytes[SIDE_ARRAYS])
{
    const size_t groups = (size_t)tile->span.groups;
    const bool packs = task->op == TASK_PACK,
               has_hashes = task->wants_codes && task->op != TASK_UNPACK && !packs,
               has_codes = task->wants_codes || packs || task_interleaves(task) ||
                           task->in_pieces;

    bytes[SIDE_SCALES] = groups * sizeof(float);
    if (task->wants_sums)
        bytes[SIDE_SUMS] = groups * sizeof(struct group_sums);
    if (has_codes && !task_gathers(task)) /* else they are in `in` */
        bytes[SIDE_CODES] = (size_t)tile->span.code_bytes;
    if (task_scale_out_bytes(task) == 2)
        bytes[SIDE_NARROW_SCALES] = groups * 2;
    if (task_widens_scales(task) || task_spreads_scale(task))
        bytes[SIDE_WIDE_SCALES] = groups * sizeof(float);
    if (task_reads_trits(task))
        bytes[SIDE_TRITS] =
            task->in_pieces ? TILE_ELEMENTS_MAX : (size_t)tile->span.elements;
    bytes[SIDE_OUT_CHUNKS] = out_chunks(tile, task) * sizeof(struct out_chunk);
    if (packs)
        measure_pack(tile, task, bytes);
    if (has_hashes || packs)
        bytes[SIDE_INEXACT] = groups;
    if (has_hashes)
        bytes[SIDE_HASHES] = groups * TILE_HASH_BYTES;
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

/* Where the arrays of the side block begin; the last one ends at `at[SIDE_ARRAYS]`. */
struct side {
    size_t at[SIDE_ARRAYS + 1];
};

static void measure_side(const struct tile *tile, const struct task *task,
                         struct side *side)
{
    size_t bytes[SIDE_ARRAYS] = {0};

    measure_arrays(tile, task, bytes);
    side->at[0] = 0;
    for (int part = 0; part < SIDE_ARRAYS; part++)
        side->at[part + 1] = side->at[part] + align_up(bytes[part]);
}

size_t tile_side_bytes(const struct tile *tile, const struct task *task)
{
    struct side side;

    measure_side(tile, task, &side);
    return side.at[SIDE_ARRAYS];
}

/* Divides the side block. */
static void divide_side(struct tile *tile, const struct task *task,
                        const struct side *side)
{
    uint8_t *parts_at[SIDE_ARRAYS];

    for (int part = 0; part < SIDE_ARRAYS; part++)
        parts_at[part] = side->at[part + 1] > side->at[part]
                             ? tile->side.bytes + side->at[part]
                             : NULL;
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

static void use(struct tile *tile, const struct task *task, const struct side *side)
{
    if (task->op != TASK_PASS)
        divide_side(tile, task, side);
    tile_place_out(tile, task);
    tile->scale_out_bytes = task->plan.whole
                                ? (size_t)task->plan.out_scale_bytes
                                : (size_t)tile->span.groups * task_scale_out_bytes(task);
    tile_results_init(tile);
}

void tile_use(struct tile *tile, const struct task *task)
{
    struct side side;

    measure_side(tile, task, &side);
    use(tile, task, &side);
}

/* Bytes of the output that need memory of their own. */
static size_t out_bytes_apart(const struct tile *tile, const struct task *task)
{
    return task->plan.spec.has_out && !task_in_place(task) && !tile->borrows_out
               ? (size_t)tile->span.out_bytes
               : 0;
}

bool tile_share(struct tile *tile, const struct task *task)
{
    const size_t out_bytes = out_bytes_apart(tile, task),
                 out_at = align_up((size_t)tile->span.in_bytes),
                 side_at = out_at + align_up(out_bytes);
    struct side side;

    if (tile->in.size != BLOCKS_SMALLEST_BYTES || side_at > tile->in.size ||
        task->op == TASK_PASS)
        return false;
    measure_side(tile, task, &side);
    if (side_at + side.at[SIDE_ARRAYS] > tile->in.size)
        return false;
    tile->shares_in = true;
    if (out_bytes)
        tile->out.bytes = tile->in.bytes + out_at;
    tile->side.bytes = tile->in.bytes + side_at;
    use(tile, task, &side);
    return true;
}

int tile_prepare(struct tile *tile, const struct task *task, struct blocks *blocks,
                 struct account *account)
{
    const size_t out_bytes = out_bytes_apart(tile, task);
    struct block out = {0};
    struct side side;

    if (out_bytes && blocks_get_for(blocks, account, out_bytes, &out) < 0)
        return -1;
    measure_side(tile, task, &side);
    if (task->op != TASK_PASS &&
        blocks_get_for(blocks, account, side.at[SIDE_ARRAYS], &tile->side) < 0) {
        blocks_put(blocks, &out);
        return -1;
    }
    tile->out = out;
    use(tile, task, &side);
    return 0;
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
    if (tile->shares_in)
        return; /* the output is in the block */
    if (!task_in_place(task) || tile->place)
        blocks_put(blocks, &tile->in);
    if (tile->place)
        blocks_put(blocks, &tile->out);
    if (!tile->scales_out && !tile->out_chunks)
        blocks_put(blocks, &tile->side);
}

void tile_release_blocks(struct tile *tile, struct blocks *blocks)
{
    if (tile->shares_in)
        tile->out = tile->side = (struct block){0};
    tile->shares_in = false;
    blocks_put(blocks, &tile->in);
    blocks_put(blocks, &tile->reference);
    blocks_put(blocks, &tile->out);
    blocks_put(blocks, &tile->side);
}
