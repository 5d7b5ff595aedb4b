/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/tile_exact.h"

#include <gnutls/crypto.h>
#include <math.h>
#include <string.h>

enum { CODE_ZERO_BYTE = 0x55 }; /* four codes of t = 0 */

/* The type in which the output of a ternarization stores its scales. */
static enum trit_dtype held_type(const struct task *task)
{
    switch (encoding_layout(task->plan.spec.out)->scales) {
    case SCALES_F32:
    case SCALES_TENSOR:
        return TRIT_F32;
    case SCALES_F16:
    case SCALES_IN_BLOCK:
        return TRIT_F16;
    case SCALES_FOLDED:
        break;
    }
    return task->plan.spec.dtype;
}

float scale_as_held(const struct task *task, float scale)
{
    return task->op == TASK_TERNARIZE ? f32_rounded_to(held_type(task), scale) : scale;
}

size_t tile_scales_held(const struct tile *tile, const struct task *task, uint64_t group,
                        float *held, size_t max)
{
    const uint64_t left = tile->span.groups - group;
    const size_t count = left < max ? (size_t)left : max;

    memcpy(held, tile->scales + group, count * sizeof(*held));
    if (task->op == TASK_TERNARIZE && held_type(task) != TRIT_F32)
        f32_round_each(held_type(task), held, count);
    return count;
}

/* The group has a latent other than 0, but f32 rounds its mean magnitude to 0. Known
 * only where the tile has sums. */
static bool mean_lost(const struct tile *tile, uint64_t group)
{
    return tile->sums && tile->scales[group] == 0 && tile->sums[group].energy > 0;
}

/* Their bits are compared, so that the compiler makes vectors of them. */
static bool any_zero(const float *scales, uint64_t count)
{
    uint32_t found = 0;

    for (uint64_t i = 0; i < count; i++) {
        uint32_t bits;

        memcpy(&bits, &scales[i], sizeof(bits));
        found |= bits << 1 == 0;
    }
    return found;
}

static bool any_mean_lost(const struct tile *tile)
{
    if (!any_zero(tile->scales, tile->span.groups))
        return false;
    for (uint64_t group = 0; group < tile->span.groups; group++)
        if (mean_lost(tile, group))
            return true;
    return false;
}

/* Quick check, so that a usual tile is not walked group by group: false if no scale is
 * lost and every latent is finite. */
static bool may_have_lost(const struct tile *tile, const struct task *task)
{
    enum trit_dtype held = held_type(task);

    return tile->counts.non_finite > 0 || held == TRIT_BF16 ||
           (held == TRIT_F16 && tile->counts.scales_lost > 0) || any_mean_lost(tile);
}

/* One group of a tile. */
struct group_ref {
    const struct group_range *range;
    uint64_t group; /* in the range */
};

/* Makes all codes of a group those of zeros and adjusts the tile's counts. */
static void clear_codes(struct tile *tile, const struct group_ref *at)
{
    size_t bytes = (at->range->group_len + 3) / 4;
    uint8_t *codes = tile->codes + at->range->code_offset + at->group * bytes;
    uint64_t negatives = 0, positives = 0;

    for (uint32_t i = 0; i < at->range->group_len; i++) {
        unsigned code = codes[i / 4] >> 2 * (i % 4) & 3;

        negatives += code == 0;
        positives += code == 2;
    }
    memset(codes, CODE_ZERO_BYTE, bytes);
    tile->counts.negatives -= negatives;
    tile->counts.positives -= positives;
    tile->counts.zeros += negatives + positives;
}

static void clear_sums(struct tile *tile, uint64_t group)
{
    struct group_sums *sums = &tile->sums[group];

    sums->error = sums->energy;
    sums->dot = sums->norm = 0;
}

static void mark_group(struct tile *tile, const struct task *task,
                       const struct group_ref *at)
{
    uint64_t group = at->range->first_group + at->group;
    float scale = tile->scales[group];
    bool packed = task->plan.spec.has_out && task->plan.spec.out != TRIT_ENCODING_DENSE;

    if (!isfinite(scale)) { /* the group has a NaN or infinity */
        if (!tile->codes)
            return;
        clear_codes(tile, at);
        tile->inexact[group] = 1;
        return;
    }
    if (!mean_lost(tile, group) && !scale_lost(held_type(task), scale))
        return;
    if (occurrences_count(&tile->lost, group))
        tile->lost_scale = scale;
    if (packed && scale != 0 && tile->inexact)
        tile->inexact[group] = 1;
    if (!tile->codes || (packed && scale != 0))
        return;
    clear_codes(tile, at);
    tile->counts.zero_groups++;
    if (tile->sums)
        clear_sums(tile, group);
}

void tile_mark_lost(struct tile *tile, const struct task *task)
{
    struct group_range range;
    uint64_t at = 0;

    if (task->op != TASK_TERNARIZE || !may_have_lost(tile, task))
        return;
    while (!task_cancelled(task) &&
           plan_next_range(&task->plan, &tile->span, &at, &range))
        for (uint64_t group = 0; group < range.count; group++)
            mark_group(tile, task, &(struct group_ref){&range, group});
}

/* The bytes of a group in the output or, without output, in the input. */
static const uint8_t *group_bytes(const struct tile *tile, const struct task *task,
                                  const struct group_ref *at, size_t *count)
{
    const struct plan_spec *spec = &task->plan.spec;
    bool is_output = task->op == TASK_TERNARIZE && spec->has_out;
    const struct encoding_layout *layout =
        encoding_layout(is_output ? spec->out : spec->in);
    const uint8_t *bytes = is_output ? tile->out_bytes + at->range->out_offset
                                     : tile->in.bytes + at->range->in_offset;

    *count = layout->block_bytes ? at->range->group_len / layout->block_elements *
                                       (size_t)layout->block_bytes
                                 : at->range->group_len * dtype_bytes(spec->dtype);
    return bytes + at->group * *count;
}

void tile_hash_inexact(struct tile *tile, const struct task *task)
{
    struct group_range range;
    uint64_t at = 0;

    if (!tile->inexact_hashes || !memchr(tile->inexact, 1, (size_t)tile->span.groups))
        return;
    while (!task_cancelled(task) &&
           plan_next_range(&task->plan, &tile->span, &at, &range))
        for (uint64_t group = 0; group < range.count; group++) {
            const uint8_t *bytes;
            size_t count;

            if (!tile->inexact[range.first_group + group])
                continue;
            bytes = group_bytes(tile, task, &(struct group_ref){&range, group}, &count);
            if (gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, count,
                                 tile->inexact_hashes[tile->inexact_count++]) < 0)
                tile->hash_failed = true;
        }
}
