/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a LayerReport that only filed reports have. */
#include "wire.h"

#include <stdio.h>
#include <string.h>

#include "proto/health.h"

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
    out->shards_present = from->shards_present;
    out->shards_expected = from->shards_expected;
    out->health = health_by_name(health);
    out->health_reason_count = from->health_reasons_count;
    for (size_t i = 0; i < from->health_reasons_count; i++)
        if (get_reason(&from->health_reasons[i], &out->health_reasons[i], error) < 0)
            return -1;
    return 0;
}
