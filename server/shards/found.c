/* SPDX-License-Identifier: Apache-2.0 */
#include "shards/found.h"

#include <string.h>

static const struct occurrences none = {0, UINT64_MAX};

void shard_found_init(struct shard_found *found)
{
    memset(found, 0, sizeof(*found));
    ternary_counts_init(&found->counts);
    ternary_check_init(&found->check);
    found->lost = found->rounded = none;
    found->subnormal = found->non_canonical = none;
}

/* ---- first occurrences -------------------------------------------------------------- */

/* A function of a box that gives the index in the layer. */
typedef uint64_t place_of(const struct shard_box *box, uint64_t index);

/* True: `shard` has the earlier one. */
static bool add_first(uint64_t *first, const struct shard_box *box, uint64_t shard,
                      place_of *place)
{
    if (shard == UINT64_MAX || place(box, shard) >= *first)
        return false;
    *first = place(box, shard);
    return true;
}

static bool add(struct occurrences *layer, const struct shard_box *box,
                const struct occurrences *shard, place_of *place)
{
    layer->count += shard->count;
    return add_first(&layer->first, box, shard->first, place);
}

/* ---- samples ------------------------------------------------------------------------ */

struct samples {
    float *values;
    uint64_t *rows;
    uint32_t *count;
};

static void remove_at(struct samples *samples, uint32_t at)
{
    --*samples->count;
    for (uint32_t i = at; i < *samples->count; i++) {
        samples->values[i] = samples->values[i + 1];
        samples->rows[i] = samples->rows[i + 1];
    }
}

/* Keeps the values that occur first, each once, in their order. A value that is dropped
 * here is not among the first ones of the layer: that many others occur before it. */
static void add_sample(struct samples *samples, float value, uint64_t row)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < *samples->count; i++)
        if (memcmp(&samples->values[i], &value, sizeof(value)) == 0) {
            if (samples->rows[i] <= row)
                return;
            remove_at(samples, i);
            break;
        }
    while (at < *samples->count && samples->rows[at] <= row)
        at++;
    if (at == TRIT_SAMPLES_MAX)
        return;
    if (*samples->count == TRIT_SAMPLES_MAX)
        --*samples->count;
    for (uint32_t i = *samples->count; i > at; i--) {
        samples->values[i] = samples->values[i - 1];
        samples->rows[i] = samples->rows[i - 1];
    }
    samples->values[at] = value;
    samples->rows[at] = row;
    ++*samples->count;
}

static void add_samples(struct samples *samples, const struct shard_box *box,
                        const float *values, const uint64_t *rows, uint32_t count)
{
    const uint64_t row_len = box->flat ? box->elements : box->shape[box->rank - 1];

    for (uint32_t i = 0; i < count; i++)
        add_sample(samples, values[i], shard_element(box, rows[i] * row_len));
}

/* ---- all of it ---------------------------------------------------------------------- */

static void add_counts(struct ternary_counts *layer, const struct shard_box *box,
                       const struct ternary_counts *shard)
{
    layer->negatives += shard->negatives;
    layer->zeros += shard->zeros;
    layer->positives += shard->positives;
    layer->zero_groups += shard->zero_groups;
    layer->non_finite += shard->non_finite;
    layer->near_threshold += shard->near_threshold;
    layer->scales_lossy_fp16 += shard->scales_lossy_fp16;
    layer->scales_lost += shard->scales_lost;
    add_first(&layer->first_non_finite, box, shard->first_non_finite, shard_element);
    add_first(&layer->first_scale_lost, box, shard->first_scale_lost, shard_group);
}

static void add_mismatches(struct ternary_check *layer, const struct shard_box *box,
                           const struct ternary_check *shard)
{
    layer->mismatches += shard->mismatches;
    add_first(&layer->first_mismatch, box, shard->first_mismatch, shard_element);
    if (add(&layer->code_mismatches, box, &shard->code_mismatches, shard_element)) {
        layer->expected_trit = shard->expected_trit;
        layer->found_trit = shard->found_trit;
    }
    if (add(&layer->scale_mismatches, box, &shard->scale_mismatches, shard_group)) {
        layer->expected_scale = shard->expected_scale;
        layer->found_scale = shard->found_scale;
    }
    if (add(&layer->reference_lost, box, &shard->reference_lost, shard_group))
        layer->lost_scale = shard->lost_scale;
    add(&layer->reference_infinite, box, &shard->reference_infinite, shard_element);
}

static void add_check(struct ternary_check *layer, const struct shard_box *box,
                      const struct ternary_check *shard)
{
    layer->valid += shard->valid;
    if (add(&layer->invalid, box, &shard->invalid, shard_element))
        layer->first_invalid = shard->first_invalid;
    if (shard->max_round_error > layer->max_round_error)
        layer->max_round_error = shard->max_round_error;
    layer->trits_seen |= shard->trits_seen;
    if (add(&layer->scales_non_finite, box, &shard->scales_non_finite, shard_group))
        layer->first_non_finite_scale = shard->first_non_finite_scale;
    if (add(&layer->scales_negative, box, &shard->scales_negative, shard_group))
        layer->first_negative_scale = shard->first_negative_scale;
    add(&layer->scales_zero, box, &shard->scales_zero, shard_group);
    add_mismatches(layer, box, shard);
}

void shard_found_add(struct shard_found *layer, const struct shard_box *box,
                     const struct shard_found *shard)
{
    struct ternary_check *check = &layer->check;

    add_counts(&layer->counts, box, &shard->counts);
    add_check(check, box, &shard->check);
    add_samples(
        &(struct samples){check->samples, layer->sample_rows, &check->sample_count}, box,
        shard->check.samples, shard->sample_rows, shard->check.sample_count);
    add_samples(&(struct samples){check->near, layer->near_rows, &check->near_count}, box,
                shard->check.near, shard->near_rows, shard->check.near_count);
    if (add(&layer->lost, box, &shard->lost, shard_group))
        layer->lost_scale = shard->lost_scale;
    add(&layer->rounded, box, &shard->rounded, shard_group);
    if (add(&layer->subnormal, box, &shard->subnormal, shard_group))
        layer->first_subnormal = shard->first_subnormal;
    if (add(&layer->non_canonical, box, &shard->non_canonical, shard_group))
        layer->first_byte = shard->first_byte;
}
