/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/tile_compute.h"

#include <string.h>

#include "base/clock.h"
#include "kernels/interleave.h"
#include "services/ternary/tile_encode.h"
#include "services/ternary/tile_exact.h"
#include "services/ternary/tile_pack.h"
#include "services/ternary/tile_pieces.h"
#include "services/ternary/tile_read.h"
#include "services/ternary/tile_storage.h"

/* The client's memory that the next tile copies from there on, where this one's range is. */
static const uint8_t *next_source(const struct tile *tile,
                                  const struct group_range *range)
{
    const struct tile *next = tile->behind;

    return next && next->in_source && next->span.in_bytes >= tile->span.in_bytes
               ? next->in_source + range->in_offset
               : NULL;
}

void tile_ternarize(struct tile *tile, const struct task *task,
                    const struct group_range *range, const uint8_t *in)
{
    bool has_out = task->plan.spec.has_out && !task_interleaves(task);
    struct ternary_counts counts;
    struct ternarize_job job = {
        .dtype = task->plan.spec.dtype,
        .count = (size_t)range->count,
        .group_len = range->group_len,
        .divisor = range->divisor,
        .in = in,
        .encoding = has_out ? task->plan.spec.out : TRIT_ENCODING_DENSE,
        .scales = tile->scales + range->first_group,
        .codes = tile->codes ? tile->codes + range->code_offset : NULL,
        .sums = tile->sums ? tile->sums + range->first_group : NULL,
        .tally = task->wants_sums    ? TALLY_ALL
                 : task->wants_codes ? TALLY_SIGNS
                                     : TALLY_NONE,
        .ahead = next_source(tile, range),
    };

    if (has_out)
        job.out =
            (task_in_place(task) ? tile->in.bytes : tile->out.bytes) + range->out_offset;
    ternary_counts_init(&counts);
    ternarize(task->kernels, &job, &counts);
    ternary_counts_add(&tile->counts, &counts, range->element, range->first_group);
}

/* Each block of a group stores the scale. Finds the first group whose blocks differ. */
static void check_block_scales(struct tile *tile, const struct task *task,
                               const struct group_range *range)
{
    const struct encoding_layout *layout = encoding_layout(task->plan.spec.in);
    size_t blocks = range->group_len / layout->block_elements,
           bytes = layout->block_bytes;
    const uint8_t *first = tile->in.bytes + range->in_offset + layout->scale_at;

    if (layout->scales != SCALES_IN_BLOCK || tile->mixed_group != UINT64_MAX)
        return;
    for (uint64_t group = 0; group < range->count; group++, first += blocks * bytes)
        for (size_t i = 1; i < blocks; i++)
            if (memcmp(first, first + i * bytes, sizeof(uint16_t)) != 0) {
                tile->mixed_group = tile->span.first_group + range->first_group + group;
                return;
            }
}

/* The row of the values that came with this range, from those counts on. */
static void note_rows(struct tile *tile, const struct task *task,
                      const struct group_range *range, uint32_t samples, uint32_t near)
{
    const uint64_t row = (tile->span.first_element + range->element) / task->plan.row_len;

    for (uint32_t i = samples; i < tile->check.sample_count; i++)
        tile->sample_rows[i] = row;
    for (uint32_t i = near; i < tile->check.near_count; i++)
        tile->near_rows[i] = row;
}

static void range_verify(struct tile *tile, const struct task *task,
                         const struct group_range *range)
{
    struct ternary_counts counts;
    struct ternary_check check;
    struct verify_job job = {
        .encoding = tile_read_encoding(task),
        .dtype = task->plan.spec.dtype,
        .count = (size_t)range->count,
        .group_len = range->group_len,
        .tolerance = task->tolerance,
        .in = tile_read_from(tile, task, range),
        .in_scales = tile_read_scales(tile, task, range),
        .scales_dtype = task->plan.spec.in_scales_dtype,
        .inexact = tile->inexact ? tile->inexact + range->first_group : NULL,
        .reference_dtype = task->reference_dtype,
        .divisor = range->divisor,
        .scales = tile->scales + range->first_group,
        .codes = tile->codes ? tile->codes + range->code_offset : NULL,
        .sums = tile->sums ? tile->sums + range->first_group : NULL,
    };

    if (task->has_reference)
        job.reference =
            tile->reference.bytes + range->element * dtype_bytes(task->reference_dtype);
    ternary_counts_init(&counts);
    ternary_check_init(&check);
    verify(task->kernels, &job, &counts, &check);
    ternary_counts_add(&tile->counts, &counts, range->element, range->first_group);
    const uint32_t samples = tile->check.sample_count, near = tile->check.near_count;

    ternary_check_add(&tile->check, &check, range->element, range->first_group);
    if (task->plan.by_rows)
        note_rows(tile, task, range, samples, near);
}

static void range_unpack(struct tile *tile, const struct task *task,
                         const struct group_range *range)
{
    struct unpack_refusal refused;
    struct unpack_job job = {
        .encoding = tile_read_encoding(task),
        .dtype = task->plan.spec.dtype,
        .count = (size_t)range->count,
        .group_len = range->group_len,
        .in = tile_read_from(tile, task, range),
        .in_scales = tile_read_scales(tile, task, range),
        .out = tile->out.bytes + range->out_offset,
    };

    if (unpack(task->kernels, &job, &refused) < 0 &&
        tile->refused.element == UINT64_MAX) {
        tile->refused = refused;
        tile->refused.element += tile->span.first_element + range->element;
    }
}

/* The scales that the output holds. */
static const float *output_scales(const struct tile *tile)
{
    return tile->held_scales ? tile->held_scales : tile->scales;
}

static void narrow_scales(struct tile *tile)
{
    for (uint64_t i = 0; i < tile->span.groups; i++) {
        uint16_t bits = f32_to_f16(output_scales(tile)[i]);

        memcpy(tile->scales_out + i * 2, &bits, 2);
    }
}

/* Writes the tensor's scale behind its codes. */
static void write_tail(struct tile *tile, const struct task *task)
{
    size_t bytes = encoding_layout(task->plan.spec.out)->tail_bytes;
    uint8_t *tail = tile->out.bytes + tile->span.out_bytes - bytes;

    memset(tail, 0, bytes);
    memcpy(tail, output_scales(tile), sizeof(float));
}

/* Writes what the kernels do not write. */
static void write_rest(struct tile *tile, const struct task *task)
{
    if (task_scale_out_bytes(task) == 2)
        narrow_scales(tile);
    if (task_interleaves(task))
        interleave(tile->flat_codes ? tile->flat_codes : tile->codes,
                   (size_t)tile->span.elements, tile->out.bytes);
    if (task_has_tail(task))
        write_tail(tile, task);
}

/* What is left after a projection in pieces, or with a reference: nothing but the output. */
static void compute_pieces(struct tile *tile, const struct task *task)
{
    if ((task->op == TASK_VERIFY && !task->has_reference) ||
        (task->op == TASK_PACK && !task_gathers(task)))
        tile_verify_pieces(tile, task);
    if (task->op == TASK_TERNARIZE)
        tile_encode(tile, task);
}

static void sum_chunks(struct tile *tile, const struct task *task)
{
    for (size_t i = 0; i < tile->out_chunk_count && !task_cancelled(task); i++)
        tile->out_chunks[i].crc32c = crc32c(0, tile->out_bytes + i * OUT_CHUNK_BYTES,
                                            tile_out_chunk_bytes(tile, i));
}

/* What follows the ranges. */
static void finish(struct tile *tile, const struct task *task)
{
    tile_mark_lost(tile, task);
    tile_hash_inexact(tile, task);
    if (task->op == TASK_PACK)
        tile_pack_write(tile, task);
    tile_check_storage(tile, task);
    if (tile->misfit.kind == MISFIT_NONE && !task_cancelled(task))
        write_rest(tile, task);
    sum_chunks(tile, task);
    if (task_cancelled(task))
        return;
    if (task->wants_crc && tile->out_bytes && !tile->out_chunks && !tile->place)
        tile->out_crc = crc32c(0, tile->out_bytes, (size_t)tile->span.out_bytes);
    if (task->wants_crc && tile->scales_out)
        tile->scales_crc = crc32c(0, tile->scales_out, tile->scale_out_bytes);
}

void tile_compute(struct tile *tile, const struct task *task)
{
    uint64_t begin = clock_monotonic_ns(), at = 0;
    struct group_range range;

    if (task->in_pieces)
        compute_pieces(tile, task);
    else
        tile_read_trits(tile, task, 0, (size_t)tile->span.elements);
    while (task->op != TASK_PASS && !task->in_pieces && !tile->direct &&
           !task_cancelled(task) &&
           plan_next_range(&task->plan, &tile->span, &at, &range)) {
        switch (task->op) {
        case TASK_TERNARIZE:
            tile_ternarize(tile, task, &range, tile->in.bytes + range.in_offset);
            break;
        case TASK_VERIFY:
            check_block_scales(tile, task, &range);
            range_verify(tile, task, &range);
            break;
        case TASK_UNPACK:
            range_unpack(tile, task, &range);
            break;
        case TASK_PACK:
            tile_pack_read(tile, task, &range);
            break;
        case TASK_PASS:
            break;
        }
    }
    if (!task_cancelled(task))
        finish(tile, task);
    tile->kernel_ns = tile->direct_ns + clock_monotonic_ns() - begin;
}
