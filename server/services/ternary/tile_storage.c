/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/tile_storage.h"

#include <math.h>
#include <string.h>

/* ---- scales ------------------------------------------------------------------- */

/* The smallest normal number of the type that holds the claim's scales. */
static float smallest_normal(const struct task *task)
{
    enum trit_dtype held = plan_in_scales_dtype(&task->plan.spec);

    if (task->plan.spec.in == TRIT_ENCODING_DENSE)
        held = task->plan.spec.dtype;
    else if (encoding_layout(task->plan.spec.in)->scales == SCALES_IN_BLOCK)
        held = TRIT_F16;
    return held == TRIT_F16 ? 0x1p-14F : 0x1p-126F;
}

/* Is one of the scales subnormal? Their bits are compared, so that the compiler makes vectors
 * of them: without the sign they are in the order of the values, and 0 - 1 is the largest. */
static bool has_subnormal(const float *scales, uint64_t count, float least)
{
    uint32_t limit, found = 0;

    memcpy(&limit, &least, sizeof(limit));
    for (uint64_t i = 0; i < count; i++) {
        uint32_t bits;

        memcpy(&bits, &scales[i], sizeof(bits));
        found |= (bits & INT32_MAX) - 1 < limit - 1;
    }
    return found;
}

static void check_scales(struct tile *tile, const struct task *task)
{
    const float least = smallest_normal(task);

    if (!has_subnormal(tile->scales, tile->span.groups, least))
        return;
    for (uint64_t group = 0; group < tile->span.groups; group++) {
        const float scale = fabsf(tile->scales[group]);

        if (scale != 0 && scale < least &&
            occurrences_count(&tile->storage.subnormal, group))
            tile->storage.first_subnormal = tile->scales[group];
    }
}

/* ---- base 3 ------------------------------------------------------------------- */

/* The end of a block's bytes that hold five digits, and of those that hold four
 * (kernels/FORMATS.md, "Base 3"). */
struct base3_block {
    size_t five, four;
};

static bool is_base3(enum trit_encoding encoding, struct base3_block *block)
{
    *block = encoding == TRIT_ENCODING_TQ1_0 ? (struct base3_block){48, 52}
                                             : (struct base3_block){24, 26};
    return encoding == TRIT_ENCODING_TQ1_0 || encoding == TRIT_ENCODING_PTQ1_0;
}

/* Is it the byte that an encoder writes for its digits? */
static bool is_canonical(unsigned byte, unsigned digits)
{
    unsigned power = 1, value = 0;

    for (unsigned n = 0; n < 5; n++, power *= 3) {
        const unsigned digit = (byte * power & 255) * 3 >> 8;

        value = value * 3 + (n < digits ? digit : 0);
    }
    return (256 * value + 242) / 243 == byte;
}

static void check_bytes(struct tile *tile, const struct task *task)
{
    const struct encoding_layout *layout = encoding_layout(task->plan.spec.in);
    bool canonical[2][256]; /* of four digits, of five */
    struct base3_block block;
    struct group_range range;
    uint64_t at = 0;

    if (!is_base3(task->plan.spec.in, &block))
        return;
    for (unsigned byte = 0; byte < 256; byte++)
        for (unsigned digits = 4; digits <= 5; digits++)
            canonical[digits - 4][byte] = is_canonical(byte, digits);
    while (plan_next_range(&task->plan, &tile->span, &at, &range)) {
        const uint64_t blocks = range.count * range.group_len / layout->block_elements;

        for (uint64_t i = 0; i < blocks; i++) {
            const uint8_t *bytes =
                tile->in.bytes + range.in_offset + i * layout->block_bytes;

            for (size_t k = 0; k < block.four; k++)
                if (!canonical[k < block.five][bytes[k]] &&
                    occurrences_count(&tile->storage.non_canonical,
                                      range.first_group +
                                          i * layout->block_elements / range.group_len))
                    tile->storage.first_byte = bytes[k];
        }
    }
}

void tile_check_storage(struct tile *tile, const struct task *task)
{
    if ((task->op != TASK_VERIFY && task->op != TASK_PACK) ||
        tile->misfit.kind != MISFIT_NONE || task_gathers(task))
        return;
    check_scales(tile, task);
    check_bytes(tile, task);
}
