/* SPDX-License-Identifier: Apache-2.0 */
#include "report_json.h"

#include <jansson.h>
#include <stdio.h>

#include "proto/finding.h"
#include "proto/health.h"
#include "proto/json_value.h"
#include "proto/names.h"

static json_t *real_where(bool present, double value)
{
    return present ? json_number(value) : json_null();
}

static json_t *count_where(bool present, uint64_t value)
{
    return present ? json_uint64(value) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *samples(const struct trit_report *report)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < report->sample_count; i++)
        if (json_array_append_new(array, json_number((double)report->sample_values[i])) !=
            0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *digest_hex(const uint8_t digest[TRIT_DIGEST_BYTES])
{
    char hex[2 * TRIT_DIGEST_BYTES + 1];
    for (size_t i = 0; i < TRIT_DIGEST_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return json_string(hex);
}

/* Takes the value, also when it fails. False: out of memory. */
static bool put(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0;
}

static bool put_identity(json_t *o, const struct trit_report *r)
{
    return put(o, "run", json_string(r->run)) && put(o, "layer", json_string(r->layer)) &&
           put(o, "step", json_uint64(r->step)) &&
           put(o, "time_unix_ns", json_int64(r->time_unix_ns)) &&
           put(o, "dtype", text_or_null(enum_name(&dtype_names, r->dtype))) &&
           put(o, "shape", json_uint64s(r->shape, r->rank)) &&
           put(o, "group_size", json_uint32(r->group_size)) &&
           put(o, "groups", json_uint64(r->groups)) &&
           put(o, "elements", json_uint64(r->elements));
}

static bool put_verdict(json_t *o, const struct trit_report *r)
{
    double zero_fraction = (double)r->zeros / (double)r->elements;
    return put(o, "is_ternary", json_boolean(r->is_ternary)) &&
           put(o, "fraction_valid", json_number(r->fraction_valid)) &&
           put(o, "max_round_error", json_number(r->max_round_error)) &&
           put(o, "sample_values", samples(r)) &&
           put(o, "negatives", json_uint64(r->negatives)) &&
           put(o, "zeros", json_uint64(r->zeros)) &&
           put(o, "positives", json_uint64(r->positives)) &&
           put(o, "zero_fraction", real_where(r->elements > 0, zero_fraction)) &&
           put(o, "zero_groups", json_uint64(r->zero_groups)) &&
           put(o, "non_finite", json_uint64(r->non_finite)) &&
           put(o, "scale_min", real_where(r->has_scales, (double)r->scale_min)) &&
           put(o, "scale_mean", real_where(r->has_scales, r->scale_mean)) &&
           put(o, "scale_max", real_where(r->has_scales, (double)r->scale_max)) &&
           put(o, "scales_lossy_fp16", json_uint64(r->scales_lossy_fp16));
}

static bool put_comparisons(json_t *o, const struct trit_report *r)
{
    bool previous = r->has_previous;
    bool mismatch = r->has_reference && r->reference_mismatches > 0;
    return put(o, "mse", real_where(r->has_mse, r->mse)) &&
           put(o, "cosine", real_where(r->has_cosine, r->cosine)) &&
           put(o, "sqnr_db", real_where(r->has_sqnr_db, r->sqnr_db)) &&
           put(o, "previous_step", count_where(previous, r->previous_step)) &&
           put(o, "flips", count_where(previous, r->flips)) &&
           put(o, "flip_fraction", real_where(previous, r->flip_fraction)) &&
           put(o, "transitions",
               previous ? json_uint64s(r->transitions, 9) : json_null()) &&
           put(o, "near_threshold_fraction", json_number(r->near_threshold_fraction)) &&
           put(o, "reference_mismatches",
               count_where(r->has_reference, r->reference_mismatches)) &&
           put(o, "first_mismatch", count_where(mismatch, r->first_mismatch));
}

static bool put_origin(json_t *o, const struct trit_report *r)
{
    return put(o, "digest", digest_hex(r->digest)) &&
           put(o, "kernel", json_string(r->kernel)) &&
           put(o, "version", json_string(r->version));
}

static bool put_text(json_t *o, const char *name, const char *text)
{
    return !text[0] || put(o, name, json_string(text));
}

static bool put_count(json_t *o, const char *name, bool present, uint64_t value)
{
    return !present || put(o, name, json_uint64(value));
}

json_t *finding_json(const struct trit_finding *f)
{
    json_t *o = json_object();

    if (!o)
        return NULL;
    if (!put(o, "kind", json_string(finding_kind_name(f->kind))) ||
        !put(o, "severity", json_string(severity_name(f->severity))) ||
        !put_count(o, "index", f->has_index, f->index) ||
        !put_count(o, "group", f->has_group, f->group) ||
        !put_text(o, "expected", f->expected) || !put_text(o, "got", f->got) ||
        !put_count(o, "count", f->has_count, f->count) || !put_text(o, "hint", f->hint)) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *findings(const struct trit_report *report)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < report->finding_count; i++)
        if (json_array_append_new(array, finding_json(&report->findings[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *reasons(const struct trit_report *report)
{
    json_t *array = json_array();

    for (size_t i = 0; i < report->health_reason_count; i++) {
        const struct trit_health_reason *reason = &report->health_reasons[i];
        json_t *o = json_object();

        if (!o || !put(o, "rule", json_string(reason->rule)) ||
            !put(o, "severity", json_string(health_name(reason->severity))) ||
            !put(o, "since_step", json_uint64(reason->since_step)) ||
            !put(o, "value", json_number(reason->value)) ||
            !put(o, "threshold", json_number(reason->threshold)) ||
            !put(o, "text", json_string(reason->text)) ||
            json_array_append(array, o) < 0) {
            json_decref(o);
            json_decref(array);
            return NULL;
        }
        json_decref(o);
    }
    return array;
}

static bool put_shard(json_t *o, const struct trit_report *r)
{
    json_t *shard = json_object();

    return put(o, "shard", shard) &&
           put(shard, "global_shape",
               json_uint64s(r->shard_global_shape, r->shard_rank)) &&
           put(shard, "offset", json_uint64s(r->shard_offset, r->shard_rank));
}

/* What only a filed report has. */
static bool put_filed(json_t *o, const struct trit_report *r)
{
    return (!r->has_stored || put(o, "stored", json_boolean(r->stored))) &&
           (r->shard_rank == 0 || put_shard(o, r)) &&
           (r->shards_expected == 0 ||
            (put(o, "shards_present", json_uint32(r->shards_present)) &&
             put(o, "shards_expected", json_uint32(r->shards_expected)))) &&
           (r->attempt == 0 || (put(o, "attempt", json_uint32(r->attempt)) &&
                                put(o, "replica", json_uint32(r->replica)) &&
                                put(o, "superseded", json_boolean(r->superseded)))) &&
           (r->health == TRIT_HEALTH_ABSENT ||
            (put(o, "health", json_string(health_name(r->health))) &&
             put(o, "health_reasons", reasons(r))));
}

json_t *report_json(const struct trit_report *report)
{
    json_t *object = json_object();
    if (!object)
        return NULL;
    if (!put_identity(object, report) || !put_verdict(object, report) ||
        !put_comparisons(object, report) || !put_origin(object, report) ||
        !put(object, "findings", findings(report)) || !put_filed(object, report)) {
        json_decref(object);
        return NULL;
    }
    return object;
}
