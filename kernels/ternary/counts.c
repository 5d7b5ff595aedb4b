/* SPDX-License-Identifier: Apache-2.0 */
/* Counts and checks of runs, and how those of several runs are added. */
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
    static const struct occurrences none = {0, UINT64_MAX};

    memset(check, 0, sizeof(*check)); /* the padding too: tests compare all of it */
    check->invalid = none;
    check->scales_non_finite = none;
    check->scales_negative = none;
    check->scales_zero = none;
    check->first_mismatch = UINT64_MAX;
    check->code_mismatches = none;
    check->scale_mismatches = none;
    check->reference_lost = none;
    check->reference_infinite = none;
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

bool occurrences_count(struct occurrences *occurrences, uint64_t index)
{
    if (occurrences->count++ > 0)
        return false;
    occurrences->first = index;
    return true;
}

void occurrences_add(struct occurrences *occurrences, const struct occurrences *more,
                     uint64_t offset)
{
    occurrences->count += more->count;
    occurrences->first = earlier(occurrences->first, more->first, offset);
}

static bool has_sample(const float *samples, uint32_t count, float sample)
{
    for (uint32_t i = 0; i < count; i++)
        if (memcmp(&samples[i], &sample, sizeof(sample)) == 0)
            return true;
    return false;
}

static void add_samples(float *samples, uint32_t *count, const float *more,
                        uint32_t more_count)
{
    for (uint32_t i = 0; i < more_count; i++)
        if (*count < TRIT_SAMPLES_MAX && !has_sample(samples, *count, more[i]))
            samples[(*count)++] = more[i];
}

/* Takes over the values that describe a first occurrence, if it is in `more`. */
static void add_first_values(struct ternary_check *check,
                             const struct ternary_check *more)
{
    if (check->invalid.count == 0)
        check->first_invalid = more->first_invalid;
    if (check->scales_non_finite.count == 0)
        check->first_non_finite_scale = more->first_non_finite_scale;
    if (check->scales_negative.count == 0)
        check->first_negative_scale = more->first_negative_scale;
    if (check->reference_lost.count == 0)
        check->lost_scale = more->lost_scale;
    if (check->code_mismatches.count == 0) {
        check->expected_trit = more->expected_trit;
        check->found_trit = more->found_trit;
    }
    if (check->scale_mismatches.count == 0) {
        check->expected_scale = more->expected_scale;
        check->found_scale = more->found_scale;
    }
}

void ternary_check_add(struct ternary_check *check, const struct ternary_check *more,
                       uint64_t elements, uint64_t groups)
{
    add_first_values(check, more);
    check->valid += more->valid;
    occurrences_add(&check->invalid, &more->invalid, elements);
    if (more->max_round_error > check->max_round_error)
        check->max_round_error = more->max_round_error;
    add_samples(check->samples, &check->sample_count, more->samples, more->sample_count);
    add_samples(check->near, &check->near_count, more->near, more->near_count);
    check->trits_seen |= more->trits_seen;
    occurrences_add(&check->scales_non_finite, &more->scales_non_finite, groups);
    occurrences_add(&check->scales_negative, &more->scales_negative, groups);
    occurrences_add(&check->scales_zero, &more->scales_zero, groups);
    check->mismatches += more->mismatches;
    check->first_mismatch =
        earlier(check->first_mismatch, more->first_mismatch, elements);
    occurrences_add(&check->code_mismatches, &more->code_mismatches, elements);
    occurrences_add(&check->scale_mismatches, &more->scale_mismatches, groups);
    occurrences_add(&check->reference_lost, &more->reference_lost, groups);
    occurrences_add(&check->reference_infinite, &more->reference_infinite, elements);
}
