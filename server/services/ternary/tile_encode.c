/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/tile_encode.h"

#include <string.h>

enum {
    STRETCH = 4096, /* elements at a time: whole blocks, and everything stays in L1 */
    BLOCK_MIN = 64, /* elements of the shortest block with a scale */
};

/* Elements between the codes of groups and the blocks of the output. */
struct encoder {
    struct tile *tile;
    const struct task *task;
    size_t element; /* of the tile, of the first in trits */
    size_t count;   /* in trits */
    float trits[STRETCH];
};

/* A projection keeps -1, 0 and +1, so the kernels that project also encode codes. The
 * scales that they compute are ignored. */
static void flush(struct encoder *encoder)
{
    struct tile *tile = encoder->tile;
    enum trit_encoding encoding = encoder->task->plan.spec.out;
    const struct encoding_layout *layout = encoding_layout(encoding);
    bool blocks = layout->block_elements >= BLOCK_MIN;
    size_t group_len = blocks ? layout->block_elements : encoder->count;
    float scales[STRETCH / BLOCK_MIN];
    struct ternary_counts counts;
    struct ternarize_job job = {
        .dtype = TRIT_F32,
        .count = group_len ? encoder->count / group_len : 0,
        .group_len = group_len,
        .divisor = group_len,
        .in = encoder->trits,
        .scales = scales,
        .tally = TALLY_NONE,
    };

    if (encoder->count == 0)
        return;
    if (layout->interleaved) {
        job.codes = tile->flat_codes + encoder->element / 4;
    } else {
        job.encoding = encoding;
        job.out = tile->out.bytes +
                  encoder->element / layout->block_elements * layout->block_bytes;
    }
    ternary_counts_init(&counts);
    ternarize(encoder->task->kernels, &job, &counts);
    encoder->element += encoder->count;
    encoder->count = 0;
}

static void put_codes(struct encoder *encoder, const uint8_t *codes, size_t elements)
{
    for (size_t i = 0; i < elements; i++) {
        encoder->trits[encoder->count++] =
            (float)((int)(codes[i / 4] >> 2 * (i % 4) & 3) - 1);
        if (encoder->count < STRETCH)
            continue;
        flush(encoder);
        if (task_cancelled(encoder->task))
            return;
    }
}

/* Writes the scale of each block of a range. */
static void put_scales(struct tile *tile, const struct task *task,
                       const struct group_range *range)
{
    const struct encoding_layout *layout = encoding_layout(task->plan.spec.out);
    uint64_t elements = range->count * range->group_len;

    for (uint64_t i = 0; i < elements; i += layout->block_elements) {
        uint16_t bits =
            f32_to_f16(tile->held_scales[range->first_group + i / range->group_len]);

        memcpy(tile->out.bytes +
                   (range->element + i) / layout->block_elements * layout->block_bytes +
                   layout->scale_at,
               &bits, sizeof(bits));
    }
}

void tile_encode(struct tile *tile, const struct task *task)
{
    const struct encoding_layout *layout = encoding_layout(task->plan.spec.out);
    struct encoder encoder = {.tile = tile, .task = task};
    struct group_range range;
    uint64_t at = 0;

    if (layout->interleaved && !tile->flat_codes)
        return; /* the codes are flat */
    while (!task_cancelled(task) &&
           plan_next_range(&task->plan, &tile->span, &at, &range)) {
        size_t bytes = (range.group_len + 3) / 4;

        for (uint64_t i = 0; i < range.count; i++)
            put_codes(&encoder, tile->codes + range.code_offset + i * bytes,
                      range.group_len);
    }
    flush(&encoder);
    at = 0;
    while (layout->scales == SCALES_IN_BLOCK &&
           plan_next_range(&task->plan, &tile->span, &at, &range))
        put_scales(tile, task, &range);
}
