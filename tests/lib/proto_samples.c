/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/proto_samples.h"

#include <math.h>
#include <string.h>

#include "tests/lib/check.h"

struct wire_layer_ref sample_layer(void)
{
    return (struct wire_layer_ref){.present = true,
                                   .run = "l\xc3\xa4uft-1",
                                   .layer = "blk.0.ffn_up",
                                   .step = UINT64_C(1) << 40};
}

struct wire_tensor sample_tensor(uint32_t dtype)
{
    return (struct wire_tensor){.dtype = dtype, .rank = 2, .shape = {2, 3}};
}

struct wire_region sample_region(void)
{
    struct wire_region region = {
        .present = true, .is_id = true, .offset = 1ull << 33, .bytes = 24};

    for (uint8_t i = 0; i < REGION_BUFFER_BYTES; i++)
        region.buffer[i] = i;
    return region;
}

struct trit_report sample_report(void)
{
    struct trit_report report = {
        .run = "l\xc3\xa4uft-1",
        .layer = "blk.0.ffn_up",
        .step = UINT64_C(1) << 40,
        .time_unix_ns = 1700000000123456789,
        .dtype = TRIT_BF16,
        .rank = 2,
        .shape = {300, 1},
        .group_size = 128,
        .groups = 300,
        .elements = 300,
        .is_ternary = true,
        .fraction_valid = 0.75,
        .max_round_error = 1.25e-6,
        .sample_count = 3,
        .sample_values = {-1, 0, INFINITY},
        .negatives = 100,
        .zeros = 150,
        .positives = 50,
        .zero_groups = 3,
        .non_finite = 1,
        .has_scales = true,
        .scale_min = 0.125f,
        .scale_max = 2.5f,
        .scale_mean = 0.3,
        .scales_lossy_fp16 = 17,
        .has_mse = true,
        .has_cosine = true,
        .has_sqnr_db = true,
        .mse = 0,
        .cosine = -0.0,
        .sqnr_db = INFINITY,
        .has_previous = true,
        .previous_step = 0,
        .flips = 9,
        .flip_fraction = 0.03,
        .transitions = {1, 2, 3, 4, 5, 6, 7, 8, UINT64_C(1) << 33},
        .near_threshold_fraction = 0.0625,
        .kernel = "avx512",
        .version = "0.1.0",
        .has_reference = true,
        .reference_mismatches = 2,
        .first_mismatch = 0,
        .finding_count = 2,
        .findings = {{.kind = TRIT_FINDING_NOT_TERNARY,
                      .severity = TRIT_SEVERITY_ERROR,
                      .has_index = true,
                      .index = UINT64_C(1) << 35,
                      .has_count = true,
                      .count = 7,
                      .expected = "-1, 0 or 1",
                      .got = "0.5",
                      .hint = "project it again"},
                     {.kind = TRIT_FINDING_DEAD_GROUPS,
                      .severity = TRIT_SEVERITY_WARNING,
                      .has_group = true}},
        .has_stored = true,
        .stored = true,
        .superseded = true,
        .attempt = 2,
        .replica = 1 << 20,
        .shard_rank = 2,
        .shard_global_shape = {600, 1},
        .shard_offset = {300, 0},
        .shards_present = 3,
        .shards_expected = 1 << 20,
        .health = TRIT_HEALTH_FAILING,
        .health_reason_count = 1,
        .health_reasons = {{.rule = "scale_drift",
                            .severity = TRIT_HEALTH_FAILING,
                            .since_step = UINT64_C(1) << 33,
                            .value = 0.5,
                            .threshold = 0.25,
                            .text = "scales grew"}},
    };
    for (size_t i = 0; i < TRIT_DIGEST_BYTES; i++)
        report.digest[i] = (uint8_t)i;
    return report;
}

void check_layer(const struct wire_layer_ref *a, const struct wire_layer_ref *b)
{
    CHECK_EQ(a->present, b->present);
    CHECK_STR(a->run, b->run);
    CHECK_STR(a->layer, b->layer);
    CHECK_EQ(a->step, b->step);
    CHECK_EQ(a->attempt, b->attempt);
    CHECK_EQ(a->replica, b->replica);
    CHECK_EQ(a->has_shard, b->has_shard);
    CHECK_EQ(a->global_rank, b->global_rank);
    CHECK_EQ(a->offset_rank, b->offset_rank);
    CHECK_MEM(a->global_shape, b->global_shape, sizeof(a->global_shape));
    CHECK_MEM(a->offset, b->offset, sizeof(a->offset));
}

void check_tensor(const struct wire_tensor *a, const struct wire_tensor *b)
{
    CHECK_EQ(a->dtype, b->dtype);
    CHECK_EQ(a->rank, b->rank);
    CHECK_MEM(a->shape, b->shape, sizeof(a->shape));
}

/* Bit for bit: signed zeros and NaNs too. */
static void check_double(double a, double b)
{
    CHECK_MEM(&a, &b, sizeof(a));
}

static void check_finding(const struct trit_finding *a, const struct trit_finding *b)
{
    CHECK_EQ(a->kind, b->kind);
    CHECK_EQ(a->severity, b->severity);
    CHECK_EQ(a->has_index, b->has_index);
    CHECK_EQ(a->index, b->index);
    CHECK_EQ(a->has_group, b->has_group);
    CHECK_EQ(a->group, b->group);
    CHECK_EQ(a->has_count, b->has_count);
    CHECK_EQ(a->count, b->count);
    CHECK_STR(a->expected, b->expected);
    CHECK_STR(a->got, b->got);
    CHECK_STR(a->hint, b->hint);
}

static void check_filed(const struct trit_report *a, const struct trit_report *b)
{
    CHECK_EQ(a->has_stored, b->has_stored);
    CHECK_EQ(a->stored, b->stored);
    CHECK_EQ(a->superseded, b->superseded);
    CHECK_EQ(a->attempt, b->attempt);
    CHECK_EQ(a->replica, b->replica);
    CHECK_EQ(a->shard_rank, b->shard_rank);
    CHECK_MEM(a->shard_global_shape, b->shard_global_shape,
              sizeof(a->shard_global_shape));
    CHECK_MEM(a->shard_offset, b->shard_offset, sizeof(a->shard_offset));
    CHECK_EQ(a->shards_present, b->shards_present);
    CHECK_EQ(a->shards_expected, b->shards_expected);
    CHECK_EQ(a->health, b->health);
    CHECK_EQ(a->health_reason_count, b->health_reason_count);
    for (size_t i = 0; i < a->health_reason_count; i++) {
        const struct trit_health_reason *x = &a->health_reasons[i],
                                        *y = &b->health_reasons[i];

        CHECK_STR(x->rule, y->rule);
        CHECK_EQ(x->severity, y->severity);
        CHECK_EQ(x->since_step, y->since_step);
        check_double(x->value, y->value);
        check_double(x->threshold, y->threshold);
        CHECK_STR(x->text, y->text);
    }
}

void check_report(const struct trit_report *a, const struct trit_report *b)
{
    CHECK_STR(a->run, b->run);
    CHECK_STR(a->layer, b->layer);
    CHECK_EQ(a->step, b->step);
    CHECK_EQ(a->time_unix_ns, b->time_unix_ns);
    CHECK_EQ(a->dtype, b->dtype);
    CHECK_EQ(a->rank, b->rank);
    CHECK_MEM(a->shape, b->shape, sizeof(a->shape));
    CHECK_EQ(a->group_size, b->group_size);
    CHECK_EQ(a->groups, b->groups);
    CHECK_EQ(a->elements, b->elements);
    CHECK_EQ(a->is_ternary, b->is_ternary);
    check_double(a->fraction_valid, b->fraction_valid);
    check_double(a->max_round_error, b->max_round_error);
    CHECK_EQ(a->sample_count, b->sample_count);
    CHECK_MEM(a->sample_values, b->sample_values, sizeof(a->sample_values));
    CHECK_EQ(a->negatives, b->negatives);
    CHECK_EQ(a->zeros, b->zeros);
    CHECK_EQ(a->positives, b->positives);
    CHECK_EQ(a->zero_groups, b->zero_groups);
    CHECK_EQ(a->non_finite, b->non_finite);
    CHECK_EQ(a->has_scales, b->has_scales);
    CHECK_MEM(&a->scale_min, &b->scale_min, sizeof(a->scale_min));
    CHECK_MEM(&a->scale_max, &b->scale_max, sizeof(a->scale_max));
    check_double(a->scale_mean, b->scale_mean);
    CHECK_EQ(a->scales_lossy_fp16, b->scales_lossy_fp16);
    CHECK_EQ(a->has_mse, b->has_mse);
    CHECK_EQ(a->has_cosine, b->has_cosine);
    CHECK_EQ(a->has_sqnr_db, b->has_sqnr_db);
    check_double(a->mse, b->mse);
    check_double(a->cosine, b->cosine);
    check_double(a->sqnr_db, b->sqnr_db);
    CHECK_EQ(a->has_previous, b->has_previous);
    CHECK_EQ(a->previous_step, b->previous_step);
    CHECK_EQ(a->flips, b->flips);
    check_double(a->flip_fraction, b->flip_fraction);
    CHECK_MEM(a->transitions, b->transitions, sizeof(a->transitions));
    check_double(a->near_threshold_fraction, b->near_threshold_fraction);
    CHECK_MEM(a->digest, b->digest, sizeof(a->digest));
    CHECK_STR(a->kernel, b->kernel);
    CHECK_STR(a->version, b->version);
    CHECK_EQ(a->has_reference, b->has_reference);
    CHECK_EQ(a->reference_mismatches, b->reference_mismatches);
    CHECK_EQ(a->first_mismatch, b->first_mismatch);
    CHECK_EQ(a->finding_count, b->finding_count);
    for (uint32_t i = 0; i < a->finding_count; i++)
        check_finding(&a->findings[i], &b->findings[i]);
    check_filed(a, b);
}

void assemble(struct assembled *message, const void *bytes, size_t count)
{
    CHECK(message->count + count <= sizeof(message->bytes));
    memcpy(message->bytes + message->count, bytes, count);
    message->count += count;
}

void check_assembled(const struct assembled *message, const uint8_t *expected,
                     size_t count)
{
    CHECK_EQ(message->count, count);
    CHECK_MEM(message->bytes, expected, count);
}
