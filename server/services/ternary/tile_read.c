/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/tile_read.h"

#include <string.h>

#include "kernels/interleave.h"

enum { PLANE_ELEMENTS = 32, BLOCK_ELEMENTS = 4 * PLANE_ELEMENTS /* of I2_S */ };

/* I2_S to t, one byte for each element; code 3 becomes +2. */
static void part_planes(const uint8_t *in, uint64_t first, size_t count, int8_t *t)
{
    while (count > 0) {
        const uint8_t *block = in + first / BLOCK_ELEMENTS * PLANE_ELEMENTS;
        const unsigned plane = (unsigned)(first % BLOCK_ELEMENTS / PLANE_ELEMENTS);
        const size_t at = (size_t)(first % PLANE_ELEMENTS), left = PLANE_ELEMENTS - at;
        const size_t some = left < count ? left : count;

        for (size_t m = 0; m < some; m++)
            t[m] = (int8_t)((block[at + m] >> (6 - 2 * plane) & 3) - 1);
        t += some;
        first += some;
        count -= some;
    }
}

static const uint8_t *codes_of(const struct tile *tile, const struct task *task)
{
    return task->held_in ? task->held_in : tile->in.bytes;
}

void tile_read_trits(struct tile *tile, const struct task *task, uint64_t first,
                     size_t count)
{
    if (task->held_in)
        first += tile->span.first_element;
    if (task_deinterleaves(task))
        deinterleave_part(codes_of(tile, task), (size_t)task->plan.elements,
                          (size_t)first, count, tile->trits);
    else if (task_reads_trits(task))
        part_planes(codes_of(tile, task), first, count, tile->trits);
}

enum trit_encoding tile_read_encoding(const struct task *task)
{
    return task_reads_trits(task) ? TRIT_ENCODING_INT8 : task->plan.spec.in;
}

const void *tile_read_from(const struct tile *tile, const struct task *task,
                           const struct group_range *range)
{
    if (task_reads_trits(task))
        return tile->trits + range->element;
    return tile->in.bytes + range->in_offset;
}

static const float *spread_scale(struct tile *tile, const struct group_range *range,
                                 float scale)
{
    float *to = tile->wide_scales + range->first_group;

    for (uint64_t i = 0; i < range->count; i++)
        to[i] = scale;
    return to;
}

static float scale_at(const struct task *task, uint64_t index)
{
    enum trit_dtype dtype = plan_in_scales_dtype(&task->plan.spec);
    const uint8_t *from = task->in_scales + index * dtype_bytes(dtype);
    uint16_t bits;
    float scale;

    if (dtype == TRIT_F32) {
        memcpy(&scale, from, sizeof(scale));
        return scale;
    }
    memcpy(&bits, from, sizeof(bits));
    return dtype == TRIT_F16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

const float *tile_read_scales(struct tile *tile, const struct task *task,
                              const struct group_range *range)
{
    const struct encoding_layout *layout = encoding_layout(task->plan.spec.in);
    uint64_t first = tile->span.first_group + range->first_group;

    if (layout->tail_bytes) { /* aligned: whole blocks precede it */
        const float *tail =
            (const float *)(const void *)(codes_of(tile, task) + task->plan.in_bytes -
                                          layout->tail_bytes);

        return task_spreads_scale(task) ? spread_scale(tile, range, *tail) : tail;
    }
    if (!task->in_scales)
        return NULL;
    if (task_spreads_scale(task))
        return spread_scale(tile, range, scale_at(task, 0));
    if (!tile->wide_scales)
        return (const float *)(const void *)(task->in_scales + first * 4);
    for (uint64_t i = 0; i < range->count; i++)
        tile->wide_scales[range->first_group + i] = scale_at(task, first + i);
    return tile->wide_scales + range->first_group;
}
