/* SPDX-License-Identifier: Apache-2.0 */
/* LayerReport: from bytes to struct, and the messages that hold one. */
#include "wire.h"

#include <stdio.h>
#include <string.h>

#include "proto/finding.h"
#include "put.h"

_Static_assert(trit_v1_ReportsGetResponse_size <= REPORT_BYTES_MAX, "a report fits");
_Static_assert(sizeof(float) == 4 && sizeof(double) == 8, "as on the wire");

enum { TRANSITIONS = 9 };

static void get_measures(const trit_v1_LayerReport *from, struct trit_report *out)
{
    out->is_ternary = from->is_ternary;
    out->fraction_valid = from->fraction_valid;
    out->max_round_error = from->max_round_error;
    out->sample_count = from->sample_values_count;
    memcpy(out->sample_values, from->sample_values,
           from->sample_values_count * sizeof(from->sample_values[0]));
    out->negatives = from->negatives;
    out->zeros = from->zeros;
    out->positives = from->positives;
    out->zero_groups = from->zero_groups;
    out->non_finite = from->non_finite;
    /* A report that an older daemon stored has no field for a count of 0. */
    out->has_scales = from->has_scale_min || from->has_scale_mean || from->has_scale_max;
    out->scale_min = from->has_scale_min ? from->scale_min : 0;
    out->scale_mean = from->has_scale_mean ? from->scale_mean : 0;
    out->scale_max = from->has_scale_max ? from->scale_max : 0;
    out->scales_lossy_fp16 = from->scales_lossy_fp16;
    out->near_threshold_fraction = from->near_threshold_fraction;
}

static void get_comparisons(const trit_v1_LayerReport *from, struct trit_report *out)
{
    out->has_mse = from->has_mse;
    out->mse = from->has_mse ? from->mse : 0;
    out->has_cosine = from->has_cosine;
    out->cosine = from->has_cosine ? from->cosine : 0;
    out->has_sqnr_db = from->has_sqnr_db;
    out->sqnr_db = from->has_sqnr_db ? from->sqnr_db : 0;
    out->has_previous = from->has_previous_step;
    if (out->has_previous) {
        out->previous_step = from->previous_step;
        out->flips = from->flips;
        out->flip_fraction = from->flip_fraction;
        memcpy(out->transitions, from->transitions, sizeof(out->transitions));
    }
    out->has_reference = from->has_reference_mismatches;
    if (out->has_reference) {
        out->reference_mismatches = from->reference_mismatches;
        out->first_mismatch = from->has_first_mismatch ? from->first_mismatch : 0;
    }
}

/* transitions and digest have all their values or none. */
static int check_counts(const trit_v1_LayerReport *from, char error[CODEC_ERROR_BYTES])
{
    if (from->transitions_count != TRANSITIONS &&
        (from->transitions_count != 0 || from->has_previous_step)) {
        snprintf(error, CODEC_ERROR_BYTES, "transitions: %u values, not 9",
                 (unsigned)from->transitions_count);
        return -1;
    }
    if (from->digest.size != TRIT_DIGEST_BYTES && from->digest.size != 0) {
        snprintf(error, CODEC_ERROR_BYTES, "digest: %u bytes, not 32",
                 (unsigned)from->digest.size);
        return -1;
    }
    return 0;
}

static int get_finding(const trit_v1_Finding *from, struct trit_finding *out,
                       char error[CODEC_ERROR_BYTES])
{
    char kind[sizeof(from->kind.bytes) + 1], severity[sizeof(from->severity.bytes) + 1];

    if (wire_text("findings.kind", from->kind.bytes, from->kind.size,
                  sizeof(from->kind.bytes), kind, error) < 0 ||
        wire_text("findings.severity", from->severity.bytes, from->severity.size,
                  sizeof(from->severity.bytes), severity, error) < 0 ||
        wire_text("findings.expected", from->expected.bytes, from->expected.size,
                  TRIT_FINDING_VALUE_BYTES_MAX, out->expected, error) < 0 ||
        wire_text("findings.got", from->got.bytes, from->got.size,
                  TRIT_FINDING_VALUE_BYTES_MAX, out->got, error) < 0 ||
        wire_text("findings.hint", from->hint.bytes, from->hint.size,
                  TRIT_FINDING_HINT_BYTES_MAX, out->hint, error) < 0)
        return -1;
    out->kind = finding_kind_by_name(kind);
    out->severity = severity_by_name(severity);
    out->has_index = from->has_index;
    out->index = from->has_index ? from->index : 0;
    out->has_group = from->has_group;
    out->group = from->has_group ? from->group : 0;
    out->has_count = from->has_count;
    out->count = from->has_count ? from->count : 0;
    return 0;
}

int wire_report(const trit_v1_LayerReport *from, struct trit_report *out,
                char error[CODEC_ERROR_BYTES])
{
    struct trit_report report = {0};
    if (check_counts(from, error) != 0 ||
        wire_text("run", from->run.bytes, from->run.size, TRIT_NAME_BYTES_MAX, report.run,
                  error) != 0 ||
        wire_text("layer", from->layer.bytes, from->layer.size, TRIT_NAME_BYTES_MAX,
                  report.layer, error) != 0 ||
        wire_text("kernel", from->kernel.bytes, from->kernel.size,
                  sizeof(report.kernel) - 1, report.kernel, error) != 0 ||
        wire_text("version", from->version.bytes, from->version.size,
                  sizeof(report.version) - 1, report.version, error) != 0)
        return -1;
    report.step = from->step;
    report.time_unix_ns = from->time_unix_ns;
    report.dtype = (enum trit_dtype)from->dtype;
    report.rank = from->shape_count;
    memcpy(report.shape, from->shape, from->shape_count * sizeof(from->shape[0]));
    report.group_size = from->group_size;
    report.groups = from->groups;
    report.elements = from->elements;
    get_measures(from, &report);
    get_comparisons(from, &report);
    memcpy(report.digest, from->digest.bytes, from->digest.size);
    report.finding_count = from->findings_count;
    for (uint32_t i = 0; i < from->findings_count; i++)
        if (get_finding(&from->findings[i], &report.findings[i], error) < 0)
            return -1;
    if (wire_filed(from, &report, error) < 0)
        return -1;
    *out = report;
    return 0;
}

size_t encode_report(const struct trit_report *report, uint8_t *out, size_t capacity)
{
    struct put put = {.at = out, .end = out + capacity};

    put_report_fields(&put, report);
    return put.full ? 0 : (size_t)(put.at - out);
}

int decode_report(const uint8_t *bytes, size_t count, struct trit_report *out,
                  char error[CODEC_ERROR_BYTES])
{
    trit_v1_LayerReport wire;
    if (wire_decode(&message_report, bytes, count, &wire, error) != 0)
        return -1;
    return wire_report(&wire, out, error);
}

/* VerifyResponse, VerifyStreamResponse, ReportsGetResponse, the report of a
 * ProjectStreamResponse and an entry of ReportsListResponse are the same bytes:
 * a report as field 1. */
static size_t encode_as_field_1(const struct trit_report *report, uint8_t *out,
                                size_t capacity)
{
    struct put put = {.at = out, .end = out + capacity};

    put_report(&put, 1, report);
    return put.full ? 0 : (size_t)(put.at - out);
}

size_t encode_verified(const struct trit_report *report, uint8_t *out, size_t capacity)
{
    return encode_as_field_1(report, out, capacity);
}

size_t encode_stream_report(const struct trit_report *report, uint8_t *out,
                            size_t capacity)
{
    return encode_as_field_1(report, out, capacity);
}

size_t encode_report_got(const struct trit_report *report, uint8_t *out, size_t capacity)
{
    return encode_as_field_1(report, out, capacity);
}

size_t encode_report_entry(const struct trit_report *report, uint8_t *out,
                           size_t capacity)
{
    return encode_as_field_1(report, out, capacity);
}

int decode_stream_report(const struct scan_part *root, bool *has_report,
                         struct trit_report *out, char error[CODEC_ERROR_BYTES])
{
    trit_v1_ReportsGetResponse reply;
    if (wire_decode(&message_report_got, root->bytes, root->count, &reply, error) != 0 ||
        (reply.has_report && wire_report(&reply.report, out, error) != 0))
        return -1;
    *has_report = reply.has_report;
    return 0;
}

int decode_report_got(const struct scan_part *root, struct trit_report *out,
                      char error[CODEC_ERROR_BYTES])
{
    bool has_report;
    if (decode_stream_report(root, &has_report, out, error) != 0)
        return -1;
    if (!has_report) {
        snprintf(error, CODEC_ERROR_BYTES, "report: missing");
        return -1;
    }
    return 0;
}

int decode_verified(const struct scan_part *root, struct trit_report *out,
                    char error[CODEC_ERROR_BYTES])
{
    return decode_report_got(root, out, error);
}
