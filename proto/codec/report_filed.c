/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a LayerReport that only filed reports have. */
#include "wire.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "proto/health.h"

static void put_reason(trit_v1_HealthReason *out, const struct trit_health_reason *from)
{
    out->rule.size = wire_text_put(out->rule.bytes, sizeof(out->rule.bytes), from->rule);
    out->since_step = from->since_step;
    out->value = from->value;
    out->threshold = from->threshold;
    out->text.size = wire_text_put(out->text.bytes, sizeof(out->text.bytes), from->text);
    out->severity.size = wire_text_put(out->severity.bytes, sizeof(out->severity.bytes),
                                       health_name(from->severity));
}

void wire_filed_put(trit_v1_LayerReport *out, const struct trit_report *from)
{
    assert(from->shard_rank <= TRIT_RANK_MAX &&
           from->health_reason_count <= TRIT_HEALTH_REASONS_MAX);
    out->has_stored = from->has_stored;
    out->stored = from->stored;
    out->attempt = from->attempt;
    out->replica = from->replica;
    out->superseded = from->superseded;
    out->has_shard = from->shard_rank > 0;
    out->shard.global_shape_count = out->shard.offset_count = from->shard_rank;
    memcpy(out->shard.global_shape, from->shard_global_shape,
           from->shard_rank * sizeof(out->shard.global_shape[0]));
    memcpy(out->shard.offset, from->shard_offset,
           from->shard_rank * sizeof(out->shard.offset[0]));
    out->health.size = wire_text_put(out->health.bytes, sizeof(out->health.bytes),
                                     health_name(from->health));
    out->health_reasons_count = (pb_size_t)from->health_reason_count;
    for (size_t i = 0; i < from->health_reason_count; i++)
        put_reason(&out->health_reasons[i], &from->health_reasons[i]);
}

static int get_reason(const trit_v1_HealthReason *from, struct trit_health_reason *out,
                      char error[CODEC_ERROR_BYTES])
{
    char severity[sizeof(from->severity.bytes) + 1];

    if (wire_text("health_reasons.rule", from->rule.bytes, from->rule.size,
                  TRIT_HEALTH_RULE_BYTES_MAX, out->rule, error) < 0 ||
        wire_text("health_reasons.severity", from->severity.bytes, from->severity.size,
                  sizeof(from->severity.bytes), severity, error) < 0 ||
        wire_text("health_reasons.text", from->text.bytes, from->text.size,
                  TRIT_HEALTH_TEXT_BYTES_MAX, out->text, error) < 0)
        return -1;
    out->severity = health_by_name(severity);
    out->since_step = from->since_step;
    out->value = from->value;
    out->threshold = from->threshold;
    return 0;
}

int wire_filed(const trit_v1_LayerReport *from, struct trit_report *out,
               char error[CODEC_ERROR_BYTES])
{
    char health[sizeof(from->health.bytes) + 1];

    if (wire_text("health", from->health.bytes, from->health.size,
                  sizeof(from->health.bytes), health, error) < 0)
        return -1;
    if (from->has_shard && from->shard.global_shape_count != from->shard.offset_count) {
        snprintf(error, CODEC_ERROR_BYTES, "shard.offset: %u values, not %u",
                 (unsigned)from->shard.offset_count,
                 (unsigned)from->shard.global_shape_count);
        return -1;
    }
    out->has_stored = from->has_stored;
    out->stored = from->has_stored && from->stored;
    out->attempt = from->attempt;
    out->replica = from->replica;
    out->superseded = from->superseded;
    out->shard_rank = from->has_shard ? (uint8_t)from->shard.offset_count : 0;
    memcpy(out->shard_global_shape, from->shard.global_shape,
           out->shard_rank * sizeof(out->shard_global_shape[0]));
    memcpy(out->shard_offset, from->shard.offset,
           out->shard_rank * sizeof(out->shard_offset[0]));
    out->health = health_by_name(health);
    out->health_reason_count = from->health_reasons_count;
    for (size_t i = 0; i < from->health_reasons_count; i++)
        if (get_reason(&from->health_reasons[i], &out->health_reasons[i], error) < 0)
            return -1;
    return 0;
}
