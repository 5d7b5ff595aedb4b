/* Counts and checks of runs, and how those of several runs make one. */
#include <string.h>

#include "kernels/kernels.h"

void ternary_counts_init(struct ternary_counts *counts)
{
    *counts = (struct ternary_counts){
        .first_non_finite = UINT64_MAX,
        .first_scale_lost = UINT64_MAX,
    };
}

void ternary_check_init(struct ternary_check *check)
{
    memset(check, 0, sizeof *check);
    check->first_mismatch = UINT64_MAX;
}

static uint64_t earlier(uint64_t first, uint64_t more, uint64_t offset)
{
    return more == UINT64_MAX || first <= more + offset ? first : more + offset;
}

void ternary_counts_add(struct ternary_counts *counts, const struct ternary_counts *more,
                        uint64_t elements, uint64_t groups)
{
    counts->negatives += more->negatives;
    counts->zeros += more->zeros;
    counts->positives += more->positives;
    counts->zero_groups += more->zero_groups;
    counts->non_finite += more->non_finite;
    counts->near_threshold += more->near_threshold;
    counts->scales_lossy_fp16 += more->scales_lossy_fp16;
    counts->scales_lost += more->scales_lost;
    counts->first_non_finite =
        earlier(counts->first_non_finite, more->first_non_finite, elements);
    counts->first_scale_lost =
        earlier(counts->first_scale_lost, more->first_scale_lost, groups);
}

static bool has_sample(const struct ternary_check *check, float sample)
{
    for (uint32_t i = 0; i < check->sample_count; i++)
        if (memcmp(&check->samples[i], &sample, sizeof sample) == 0)
            return true;
    return false;
}

void ternary_check_add(struct ternary_check *check, const struct ternary_check *more,
                       uint64_t elements)
{
    check->valid += more->valid;
    if (more->max_round_error > check->max_round_error)
        check->max_round_error = more->max_round_error;
    for (uint32_t i = 0; i < more->sample_count; i++)
        if (check->sample_count < TRIT_SAMPLES_MAX &&
            !has_sample(check, more->samples[i]))
            check->samples[check->sample_count++] = more->samples[i];
    check->mismatches += more->mismatches;
    check->first_mismatch =
        earlier(check->first_mismatch, more->first_mismatch, elements);
}
