/* SPDX-License-Identifier: Apache-2.0 */
/* LayerReport: from struct to bytes. Every small call has one, and nanopb, which walks
 * descriptors and encodes each message twice, took a fifth of such a call. */
#include "wire.h"

#include <assert.h>

#include "proto/finding.h"
#include "proto/health.h"
#include "put.h"

/* How many bytes nanopb holds of a text, which bounds what peers accept. */
#define TEXT_MAX(message, field) sizeof(((trit_v1_##message *)NULL)->field.bytes)

enum { TRANSITIONS = 9 };

static void put_measures(struct put *put, const struct trit_report *report)
{
    put_u64(put, 10, report->is_ternary);
    put_f64(put, 11, report->fraction_valid);
    put_f64(put, 12, report->max_round_error);
    put_f32s(put, 13, report->sample_values, report->sample_count);
    put_u64(put, 14, report->negatives);
    put_u64(put, 15, report->zeros);
    put_u64(put, 16, report->positives);
    put_u64(put, 17, report->zero_groups);
    put_u64(put, 18, report->non_finite);
    if (report->has_scales) {
        put_present_f32(put, 19, report->scale_min);
        put_present_f64(put, 20, report->scale_mean);
        put_present_f32(put, 21, report->scale_max);
    }
    put_u64(put, 22, report->scales_lossy_fp16);
}

static void put_comparisons(struct put *put, const struct trit_report *report)
{
    if (report->has_mse)
        put_present_f64(put, 23, report->mse);
    if (report->has_cosine)
        put_present_f64(put, 24, report->cosine);
    if (report->has_sqnr_db)
        put_present_f64(put, 25, report->sqnr_db);
    if (!report->has_previous)
        return;
    put_present_u64(put, 26, report->previous_step);
    put_u64(put, 27, report->flips);
    put_f64(put, 28, report->flip_fraction);
    put_u64s(put, 29, report->transitions, TRANSITIONS);
}

static void put_reference(struct put *put, const struct trit_report *report)
{
    if (!report->has_reference)
        return;
    put_present_u64(put, 34, report->reference_mismatches);
    if (report->reference_mismatches > 0)
        put_present_u64(put, 35, report->first_mismatch);
}

static void put_finding(struct put *put, const struct trit_finding *finding)
{
    uint8_t *begin = put_message_begin(put, 36);

    put_text(put, 1, finding_kind_name(finding->kind), TEXT_MAX(Finding, kind));
    put_text(put, 2, severity_name(finding->severity), TEXT_MAX(Finding, severity));
    if (finding->has_index)
        put_present_u64(put, 5, finding->index);
    if (finding->has_group)
        put_present_u64(put, 6, finding->group);
    put_text(put, 7, finding->expected, TEXT_MAX(Finding, expected));
    put_text(put, 8, finding->got, TEXT_MAX(Finding, got));
    if (finding->has_count)
        put_present_u64(put, 9, finding->count);
    put_text(put, 10, finding->hint, TEXT_MAX(Finding, hint));
    put_message_end(put, begin);
}

static void put_reason(struct put *put, const struct trit_health_reason *reason)
{
    uint8_t *begin = put_message_begin(put, 43);

    put_text(put, 1, reason->rule, TEXT_MAX(HealthReason, rule));
    put_u64(put, 2, reason->since_step);
    put_f64(put, 3, reason->value);
    put_f64(put, 4, reason->threshold);
    put_text(put, 5, reason->text, TEXT_MAX(HealthReason, text));
    put_text(put, 6, health_name(reason->severity), TEXT_MAX(HealthReason, severity));
    put_message_end(put, begin);
}

/* The fields that only filed reports have. */
static void put_filed(struct put *put, const struct trit_report *report)
{
    if (report->has_stored)
        put_present_u64(put, 37, report->stored);
    put_u64(put, 38, report->attempt);
    put_u64(put, 39, report->replica);
    if (report->shard_rank > 0) {
        uint8_t *begin = put_message_begin(put, 40);

        put_u64s(put, 1, report->shard_global_shape, report->shard_rank);
        put_u64s(put, 2, report->shard_offset, report->shard_rank);
        put_message_end(put, begin);
    }
    put_u64(put, 41, report->superseded);
    put_text(put, 42, health_name(report->health), TEXT_MAX(LayerReport, health));
    for (size_t i = 0; i < report->health_reason_count; i++)
        put_reason(put, &report->health_reasons[i]);
    put_u64(put, 44, report->shards_present);
    put_u64(put, 45, report->shards_expected);
}

void put_report_fields(struct put *put, const struct trit_report *report)
{
    assert(report->rank <= TRIT_RANK_MAX && report->sample_count <= TRIT_SAMPLES_MAX &&
           report->finding_count <= TRIT_FINDINGS_MAX &&
           report->shard_rank <= TRIT_RANK_MAX &&
           report->health_reason_count <= TRIT_HEALTH_REASONS_MAX);
    put_text(put, 1, report->run, TEXT_MAX(LayerReport, run));
    put_text(put, 2, report->layer, TEXT_MAX(LayerReport, layer));
    put_u64(put, 3, report->step);
    put_u64(put, 4, (uint64_t)report->time_unix_ns);
    put_u64(put, 5, (uint64_t)(int32_t)report->dtype);
    put_u64s(put, 6, report->shape, report->rank);
    put_u64(put, 7, report->group_size);
    put_u64(put, 8, report->groups);
    put_u64(put, 9, report->elements);
    put_measures(put, report);
    put_comparisons(put, report);
    put_f64(put, 30, report->near_threshold_fraction);
    put_bytes(put, 31, report->digest, TRIT_DIGEST_BYTES);
    put_text(put, 32, report->kernel, TEXT_MAX(LayerReport, kernel));
    put_text(put, 33, report->version, TEXT_MAX(LayerReport, version));
    put_reference(put, report);
    for (size_t i = 0; i < report->finding_count; i++)
        put_finding(put, &report->findings[i]);
    put_filed(put, report);
}

void put_report(struct put *put, uint32_t number, const struct trit_report *report)
{
    uint8_t *begin = put_message_begin(put, number);

    put_report_fields(put, report);
    put_message_end(put, begin);
}
