/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/tile_compute.h"

#include <string.h>

#include "base/clock.h"
#include "kernels/interleave.h"
#include "services/ternary/tile_exact.h"
#include "services/ternary/tile_storage.h"

static void range_ternarize(struct tile *tile, const struct task *task,
                            const struct group_range *range)
{
    bool has_out = task->plan.spec.has_out && !task_interleaves(task);
    struct ternary_counts counts;
    struct ternarize_job job = {
        .dtype = task->plan.spec.dtype,
        .count = (size_t)range->count,
        .group_len = range->group_len,
        .divisor = range->divisor,
        .in = tile->in.bytes + range->in_offset,
        .encoding = has_out ? task->plan.spec.out : TRIT_ENCODING_DENSE,
        .scales = tile->scales + range->first_group,
        .codes = tile->codes ? tile->codes + range->code_offset : NULL,
        .sums = tile->sums ? tile->sums + range->first_group : NULL,
        .tally = task->wants_sums    ? TALLY_ALL
                 : task->wants_codes ? TALLY_SIGNS
                                     : TALLY_NONE,
    };

    if (has_out)
        job.out =
            (task_in_place(task) ? tile->in.bytes : tile->out.bytes) + range->out_offset;
    ternary_counts_init(&counts);
    ternarize(task->kernels, &job, &counts);
    ternary_counts_add(&tile->counts, &counts, range->element, range->first_group);
}

/* The separate scales of a range as f32. f32 scales are used where they are. */
static const float *separate_scales(struct tile *tile, const struct task *task,
                                    const struct group_range *range)
{
    const struct encoding_layout *layout = encoding_layout(task->plan.spec.in);
    uint64_t first = tile->span.first_group + range->first_group;

    if (layout->tail_bytes) /* aligned: whole blocks precede it */
        return (const float *)(const void *)(tile->in.bytes + tile->span.in_bytes -
                                             layout->tail_bytes);
    if (!task->in_scales)
        return NULL;
    if (!tile->wide_scales)
        return (const float *)(const void *)(task->in_scales + first * 4);
    for (uint64_t i = 0; i < range->count; i++) {
        uint16_t bits;

        memcpy(&bits, task->in_scales + (first + i) * 2, 2);
        tile->wide_scales[range->first_group + i] =
            plan_in_scales_dtype(&task->plan.spec) == TRIT_F16 ? f16_to_f32(bits)
                                                               : bf16_to_f32(bits);
    }
    return tile->wide_scales + range->first_group;
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

/* The encoding that the kernels read. */
static enum trit_encoding read_encoding(const struct task *task)
{
    return task_deinterleaves(task) ? TRIT_ENCODING_INT8 : task->plan.spec.in;
}

static const void *read_from(const struct tile *tile, const struct task *task,
                             const struct group_range *range)
{
    if (task_deinterleaves(task))
        return tile->trits + range->element;
    return tile->in.bytes + range->in_offset;
}

static void range_verify(struct tile *tile, const struct task *task,
                         const struct group_range *range)
{
    struct ternary_counts counts;
    struct ternary_check check;
    struct verify_job job = {
        .encoding = read_encoding(task),
        .dtype = task->plan.spec.dtype,
        .count = (size_t)range->count,
        .group_len = range->group_len,
        .tolerance = task->tolerance,
        .in = read_from(tile, task, range),
        .in_scales = separate_scales(tile, task, range),
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
    ternary_check_add(&tile->check, &check, range->element, range->first_group);
}

static void range_unpack(struct tile *tile, const struct task *task,
                         const struct group_range *range)
{
    uint64_t bad = 0;
    bool lost = false;
    struct unpack_job job = {
        .encoding = read_encoding(task),
        .dtype = task->plan.spec.dtype,
        .count = (size_t)range->count,
        .group_len = range->group_len,
        .in = read_from(tile, task, range),
        .in_scales = separate_scales(tile, task, range),
        .out = tile->out.bytes + range->out_offset,
    };

    if (unpack(task->kernels, &job, &bad, &lost) < 0 && tile->bad_element == UINT64_MAX) {
        tile->bad_element = tile->span.first_element + range->element + bad;
        tile->bad_is_lost = lost;
    }
}

static void narrow_scales(struct tile *tile)
{
    for (uint64_t i = 0; i < tile->span.groups; i++) {
        uint16_t bits = f32_to_f16(tile->scales[i]);

        memcpy(tile->scales_out + i * 2, &bits, 2);
    }
}

/* Writes the tensor's scale behind its codes. */
static void write_tail(struct tile *tile, const struct task *task)
{
    size_t bytes = encoding_layout(task->plan.spec.out)->tail_bytes;
    uint8_t *tail = tile->out.bytes + tile->span.out_bytes - bytes;

    memset(tail, 0, bytes);
    memcpy(tail, tile->scales, sizeof(*tile->scales));
}

void tile_compute(struct tile *tile, const struct task *task)
{
    uint64_t begin = clock_monotonic_ns(), at = 0;
    struct group_range range;

    if (task_deinterleaves(task))
        deinterleave(tile->in.bytes, (size_t)tile->span.elements, tile->trits);
    while (task->op != TASK_PASS &&
           plan_next_range(&task->plan, &tile->span, &at, &range)) {
        switch (task->op) {
        case TASK_TERNARIZE:
            range_ternarize(tile, task, &range);
            break;
        case TASK_VERIFY:
            check_block_scales(tile, task, &range);
            range_verify(tile, task, &range);
            break;
        case TASK_UNPACK:
            range_unpack(tile, task, &range);
            break;
        case TASK_PASS:
            break;
        }
    }
    tile_check_storage(tile, task);
    tile_mark_lost(tile, task);
    tile_hash_inexact(tile, task);
    if (task_scale_out_bytes(task) == 2)
        narrow_scales(tile);
    if (task_interleaves(task))
        interleave(tile->codes, (size_t)tile->span.elements, tile->out.bytes);
    if (task_has_tail(task))
        write_tail(tile, task);
    if (task->wants_crc && tile->out_bytes)
        tile->out_crc = crc32c(0, tile->out_bytes, (size_t)tile->span.out_bytes);
    if (task->wants_crc && tile->scales_out)
        tile->scales_crc = crc32c(0, tile->scales_out, tile->scale_out_bytes);
    tile->kernel_ns = clock_monotonic_ns() - begin;
}
