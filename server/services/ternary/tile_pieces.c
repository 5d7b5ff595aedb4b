/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/tile_pieces.h"

#include <math.h>

#include "services/ternary/tile_read.h"

static enum trit_dtype latents_dtype(const struct task *task)
{
    return task->op == TASK_TERNARIZE ? task->plan.spec.dtype : task->reference_dtype;
}

void pieces_measure(struct pieces *pieces, const struct task *task,
                    const struct piece_of *piece)
{
    magnitude_lanes_add(&pieces->magnitudes, latents_dtype(task), piece->latents,
                        piece->count);
}

void pieces_measured(struct pieces *pieces, const struct task *task)
{
    pieces->scale = magnitude_lanes_mean(&pieces->magnitudes, task->plan.tail_divisor);
}

void pieces_project(struct pieces *pieces, struct tile *tile, const struct task *task,
                    const struct piece_of *piece)
{
    struct ternary_counts counts;
    float scale;
    const struct ternarize_job job = {
        .dtype = task->plan.spec.dtype,
        .count = 1,
        .group_len = piece->count,
        .divisor = piece->count,
        .scale = &pieces->scale,
        .in = piece->latents,
        .scales = &scale,
        .codes = tile->codes + piece->first / 4,
        .tally = task->wants_sums    ? TALLY_ALL
                 : task->wants_codes ? TALLY_SIGNS
                                     : TALLY_NONE,
    };

    ternary_counts_init(&counts);
    ternarize(task->kernels, &job, &counts);
    ternary_counts_add(&tile->counts, &counts, piece->first, 0);
    if (task->wants_sums)
        sum_lanes_project(&pieces->sums, job.dtype, piece->latents, piece->count,
                          pieces->scale);
}

void pieces_verify(struct pieces *pieces, struct tile *tile, const struct task *task,
                   const struct piece_of *piece)
{
    const struct group_range range = {.count = 1, .group_len = (uint32_t)piece->count};
    struct ternary_counts counts;
    struct ternary_check check;
    uint8_t inexact = 0;
    const struct verify_job job = {
        .encoding = tile_read_encoding(task),
        .count = 1,
        .group_len = piece->count,
        .tolerance = task->tolerance,
        .in = tile->trits,
        .in_scales = tile_read_scales(tile, task, &range),
        .scales_dtype = task->plan.spec.in_scales_dtype,
        .reference = piece->latents,
        .reference_dtype = task->reference_dtype,
        .reference_scale = &pieces->scale,
        .divisor = piece->count,
        .scales = &pieces->claim_scale,
        .codes = tile->codes + piece->first / 4,
        .inexact = &inexact,
    };

    tile_read_trits(tile, task, piece->first, piece->count);
    ternary_counts_init(&counts);
    ternary_check_init(&check);
    verify(task->kernels, &job, &counts, &check);
    ternary_counts_add(&tile->counts, &counts, piece->first, 0);
    ternary_check_add(&tile->check, &check, piece->first, 0);
    pieces->inexact |= inexact;
    if (piece->latents)
        sum_lanes_claim(&pieces->sums, task->reference_dtype, piece->latents, tile->trits,
                        piece->count,
                        isfinite(pieces->claim_scale) ? pieces->claim_scale : 0);
}

static void count_once(uint64_t *count)
{
    *count = *count > 0;
}

void pieces_count_once(struct tile *tile)
{
    count_once(&tile->counts.scales_lossy_fp16);
    count_once(&tile->counts.scales_lost);
    count_once(&tile->check.scales_non_finite.count);
    count_once(&tile->check.scales_negative.count);
    count_once(&tile->check.scales_zero.count);
    count_once(&tile->check.scale_mismatches.count);
    count_once(&tile->check.reference_lost.count);
}

static bool is_zero(const struct magnitude_lanes *magnitudes)
{
    for (size_t i = 0; i < GROUP_LANES; i++)
        if (magnitudes->sum[i] != 0)
            return false;
    return true;
}

void pieces_end(const struct pieces *pieces, struct tile *tile, const struct task *task)
{
    const bool nonzeros = tile->counts.negatives + tile->counts.positives > 0;
    const float claimed = pieces->claim_scale;

    pieces_count_once(tile);
    if (task->op == TASK_TERNARIZE) {
        tile->scales[0] = pieces->scale;
        tile->counts.zero_groups = is_zero(&pieces->magnitudes);
        if (tile->sums)
            tile->sums[0] = sum_lanes_projected(&pieces->sums, pieces->scale);
        return;
    }
    tile->scales[0] = claimed;
    tile->counts.zero_groups = isfinite(claimed) && (claimed == 0 || !nonzeros);
    if (tile->inexact)
        tile->inexact[0] = pieces->inexact;
    if (tile->sums)
        tile->sums[0] = sum_lanes_claimed(&pieces->sums);
}

void tile_verify_pieces(struct tile *tile, const struct task *task)
{
    const uint64_t all = tile->span.elements;
    struct pieces pieces = {.scale = 0};

    for (uint64_t first = 0; first < all && !task_cancelled(task);
         first += PIECE_ELEMENTS) {
        const uint64_t left = all - first;
        const struct piece_of piece = {
            .first = first,
            .count = (size_t)(left < PIECE_ELEMENTS ? left : PIECE_ELEMENTS)};

        pieces_verify(&pieces, tile, task, &piece);
    }
    pieces_end(&pieces, tile, task);
}
