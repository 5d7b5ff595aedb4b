/* SPDX-License-Identifier: Apache-2.0 */
/* Replies: what the daemon encodes is what Google's protobuf encodes, and libtrit
 * reads it back. */
#include "proto/codec/codec.h"
#include "proto/codec/wire.h"

#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/proto_samples.h"
#include "tests/lib/reading.h"
#include "vectors.h"

static struct reading reading;
static char error[CODEC_ERROR_BYTES];

static const struct scan_part *part(uint32_t id)
{
    return &reading.scan.parts[id];
}

static void check_blob(uint32_t id, const void *bytes, size_t count)
{
    const struct reading_blob *blob = &reading.blobs[id - BLOB_DATA];
    CHECK_EQ(blob->ended, 1);
    CHECK_EQ(blob->count, count);
    CHECK_MEM(blob->bytes, bytes, count);
}

/* ---- project ---------------------------------------------------------------------- */

CASE(projected, "a ProjectResponse is encoded as protobuf does and read back")
{
    struct trit_report report = sample_report();
    struct wire_tensor tensor = sample_tensor(TRIT_I8);
    struct wire_projected reply = {.report = &report,
                                   .encoding = TRIT_ENCODING_INT8,
                                   .dtype = TRIT_I8,
                                   .rank = 2,
                                   .shape = tensor.shape,
                                   .scale_bytes = 12,
                                   .data_bytes = 24};
    uint8_t head[REPLY_HEAD_BYTES_MAX];
    struct assembled message = {0};
    size_t scales_at;
    size_t count = encode_projected(&reply, head, sizeof(head), &scales_at);
    assemble(&message, head, scales_at);
    assemble(&message, sample_scales, 12);
    assemble(&message, head + scales_at, count - scales_at);
    assemble(&message, sample_data, 24);
    check_assembled(&message, vector_projected, sizeof(vector_projected));

    struct wire_projected_head back;
    reading_message(&reading, scan_projected, message.bytes, message.count);
    CHECK_EQ(decode_projected(part(PART_ROOT), &back, error), 0);
    CHECK(back.has_report);
    check_report(&back.report, &report);
    CHECK_EQ(back.encoding, TRIT_ENCODING_INT8);
    check_tensor(&back.tensor, &tensor);
    check_blob(BLOB_SCALES, sample_scales, 12);
    check_blob(BLOB_DATA, sample_data, 24);
    reading_fini(&reading);
}

CASE(projected_bare, "a ProjectResponse without report and scales encodes neither")
{
    static const uint64_t shape[] = {24};
    struct wire_projected reply = {
        .dtype = TRIT_F32, .rank = 1, .shape = shape, .data_bytes = 24};
    uint8_t head[REPLY_HEAD_BYTES_MAX];
    struct wire_projected_head back;
    size_t scales_at;
    size_t count = encode_projected(&reply, head, sizeof(head), &scales_at);
    CHECK_EQ(scales_at, count);
    struct assembled message = {0};
    assemble(&message, head, count);
    assemble(&message, sample_data, 24);
    reading_message(&reading, scan_projected, message.bytes, message.count);
    CHECK_EQ(decode_projected(part(PART_ROOT), &back, error), 0);
    CHECK(!back.has_report);
    CHECK_EQ(back.tensor.rank, 1);
    CHECK_EQ(reading.blobs[BLOB_SCALES - BLOB_DATA].begun, 0);
    check_blob(BLOB_DATA, sample_data, 24);
    reading_fini(&reading);
}

CASE(stream_chunks, "reply chunks and scales are encoded as protobuf does and read back")
{
    uint8_t head[REPLY_HEAD_BYTES_MAX];
    struct assembled chunk = {0}, scales = {0};
    struct wire_chunk back;
    size_t count = encode_stream_chunk(false, 24, sample_crc, 24, head, sizeof(head));
    assemble(&chunk, head, count);
    assemble(&chunk, sample_data, 24);
    check_assembled(&chunk, vector_stream_chunk, sizeof(vector_stream_chunk));
    reading_message(&reading, scan_stream_reply, chunk.bytes, chunk.count);
    CHECK_EQ(decode_chunk(part(PART_CHUNK), &back, error), 0);
    CHECK_EQ(back.offset, 24);
    CHECK_EQ(back.crc32c, sample_crc);
    check_blob(BLOB_DATA, sample_data, 24);
    reading_fini(&reading);

    count = encode_stream_chunk(true, 0, sample_crc, 12, head, sizeof(head));
    assemble(&scales, head, count);
    assemble(&scales, sample_scales, 12);
    check_assembled(&scales, vector_stream_scales, sizeof(vector_stream_scales));
    reading_message(&reading, scan_stream_reply, scales.bytes, scales.count);
    CHECK_EQ(part(PART_CHUNK)->seen, 0);
    CHECK_EQ(decode_chunk(part(PART_REFERENCE), &back, error), 0);
    check_blob(BLOB_SCALES, sample_scales, 12);
    reading_fini(&reading);
}

/* ---- tensors ---------------------------------------------------------------------- */

CASE(tensors, "tensors, bare and wrapped, are encoded as protobuf does and read back")
{
    struct wire_tensor sample = sample_tensor(TRIT_F32), back;
    uint8_t head[REPLY_HEAD_BYTES_MAX];
    struct assembled bare = {0}, wrapped = {0};
    size_t count = encode_tensor(&sample, 24, head, sizeof(head));
    assemble(&bare, head, count);
    assemble(&bare, sample_data, 24);
    check_assembled(&bare, vector_tensor, sizeof(vector_tensor));
    reading_message(&reading, scan_tensor_reply, bare.bytes, bare.count);
    CHECK_EQ(decode_tensor(part(PART_ROOT), &back, error), 0);
    check_tensor(&back, &sample);
    check_blob(BLOB_DATA, sample_data, 24);
    reading_fini(&reading);

    count = encode_backward(&sample, 24, head, sizeof(head));
    assemble(&wrapped, head, count);
    assemble(&wrapped, sample_data, 24);
    check_assembled(&wrapped, vector_backward_reply, sizeof(vector_backward_reply));
    reading_message(&reading, scan_backward_reply, wrapped.bytes, wrapped.count);
    CHECK_EQ(decode_tensor(part(PART_TENSOR), &back, error), 0);
    check_tensor(&back, &sample);
    reading_fini(&reading);
}

/* ---- reports ---------------------------------------------------------------------- */

static void check_wrapped(size_t count, const uint8_t *bytes, const uint8_t *expected,
                          size_t expected_count)
{
    CHECK_EQ(count, expected_count);
    CHECK_MEM(bytes, expected, count);
}

CASE(wrapped_reports, "a wrapped report is encoded as protobuf does and read back")
{
    struct trit_report report = sample_report(), back;
    uint8_t bytes[REPORT_BYTES_MAX];
    bool has_report = false;
    check_wrapped(encode_verified(&report, bytes, sizeof(bytes)), bytes, vector_verified,
                  sizeof(vector_verified));
    check_wrapped(encode_stream_report(&report, bytes, sizeof(bytes)), bytes,
                  vector_stream_report, sizeof(vector_stream_report));
    check_wrapped(encode_report_got(&report, bytes, sizeof(bytes)), bytes,
                  vector_report_got, sizeof(vector_report_got));
    reading_message(&reading, scan_stream_reply, bytes, sizeof(vector_stream_report));
    CHECK_EQ(decode_stream_report(part(PART_ROOT), &has_report, &back, error), 0);
    CHECK(has_report);
    check_report(&back, &report);
    memset(&back, 0, sizeof(back));
    CHECK_EQ(decode_verified(part(PART_ROOT), &back, error), 0);
    check_report(&back, &report);
    memset(&back, 0, sizeof(back));
    CHECK_EQ(decode_report_got(part(PART_ROOT), &back, error), 0);
    check_report(&back, &report);
    reading_fini(&reading);
}

CASE(missing_reports,
     "a unary reply without its report is refused; a stream's message may lack one")
{
    struct trit_report back;
    bool has_report = true;
    reading_message(&reading, scan_stream_reply, NULL, 0);
    CHECK_EQ(decode_stream_report(part(PART_ROOT), &has_report, &back, error), 0);
    CHECK(!has_report);
    CHECK_EQ(decode_verified(part(PART_ROOT), &back, error), -1);
    CHECK_STR(error, "report: missing");
    CHECK_EQ(decode_report_got(part(PART_ROOT), &back, error), -1);
    reading_fini(&reading);
}

CASE(report_at_rest, "a stored report has protobuf's bytes")
{
    struct trit_report report = sample_report(), back;
    uint8_t bytes[REPORT_BYTES_MAX];
    check_wrapped(encode_report(&report, bytes, sizeof(bytes)), bytes, vector_report,
                  sizeof(vector_report));
    CHECK_EQ(decode_report(vector_report, sizeof(vector_report), &back, error), 0);
    check_report(&back, &report);
}

static uint64_t some(uint64_t *seed)
{
    return check_random(seed) >> (check_random(seed) % 64);
}

static double some_double(uint64_t *seed)
{
    uint64_t bits = check_random(seed) & check_random(seed);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void some_name(uint64_t *seed, char *out, size_t bytes_max)
{
    size_t length = check_random(seed) % (bytes_max + 1);
    for (size_t i = 0; i < length; i++)
        out[i] = (char)(1 + check_random(seed) % 127);
    out[length] = '\0';
}

static void some_finding(uint64_t *seed, struct trit_finding *out)
{
    *out = (struct trit_finding){
        .kind = (enum trit_finding_kind)(check_random(seed) % TRIT_FINDING_KINDS),
        .severity = (enum trit_severity)(check_random(seed) % 4),
        .has_index = check_random(seed) & 1,
        .has_group = check_random(seed) & 1,
        .has_count = check_random(seed) & 1,
    };
    out->index = out->has_index ? some(seed) : 0;
    out->group = out->has_group ? some(seed) : 0;
    out->count = out->has_count ? some(seed) : 0;
    some_name(seed, out->expected, TRIT_FINDING_VALUE_BYTES_MAX);
    some_name(seed, out->got, TRIT_FINDING_VALUE_BYTES_MAX);
    some_name(seed, out->hint, TRIT_FINDING_HINT_BYTES_MAX);
}

static void some_report(uint64_t *seed, struct trit_report *out)
{
    *out = (struct trit_report){
        .step = some(seed),
        .time_unix_ns = (int64_t)some(seed),
        .dtype = (enum trit_dtype)(uint32_t)some(seed),
        .rank = (uint32_t)(check_random(seed) % (TRIT_RANK_MAX + 1)),
        .group_size = (uint32_t)some(seed),
        .groups = some(seed),
        .elements = some(seed),
        .is_ternary = check_random(seed) & 1,
        .fraction_valid = some_double(seed),
        .max_round_error = some_double(seed),
        .sample_count = (uint32_t)(check_random(seed) % (TRIT_SAMPLES_MAX + 1)),
        .negatives = some(seed),
        .zeros = some(seed),
        .positives = some(seed),
        .zero_groups = some(seed),
        .non_finite = some(seed),
        .scale_min = (float)some(seed),
        .scale_max = -(float)some(seed),
        .scale_mean = some_double(seed),
        .scales_lossy_fp16 = some(seed),
        .near_threshold_fraction = some_double(seed),
    };
    some_name(seed, out->run, TRIT_NAME_BYTES_MAX);
    some_name(seed, out->layer, TRIT_NAME_BYTES_MAX);
    some_name(seed, out->kernel, sizeof(out->kernel) - 1);
    some_name(seed, out->version, sizeof(out->version) - 1);
    for (uint32_t i = 0; i < out->rank; i++)
        out->shape[i] = some(seed);
    for (uint32_t i = 0; i < out->sample_count; i++)
        out->sample_values[i] = (float)some_double(seed);
    for (size_t i = 0; i < TRIT_DIGEST_BYTES; i++)
        out->digest[i] = (uint8_t)check_random(seed);
    if ((out->has_mse = check_random(seed) & 1))
        out->mse = some_double(seed);
    if ((out->has_cosine = check_random(seed) & 1))
        out->cosine = some_double(seed);
    if ((out->has_sqnr_db = check_random(seed) & 1))
        out->sqnr_db = some_double(seed);
    if (!(out->has_scales = check_random(seed) & 1))
        out->scale_min = out->scale_max = 0, out->scale_mean = 0;
    out->finding_count = (uint32_t)(check_random(seed) % (TRIT_FINDINGS_MAX + 1));
    for (uint32_t i = 0; i < out->finding_count; i++)
        some_finding(seed, &out->findings[i]);
    if ((out->has_previous = check_random(seed) & 1)) {
        out->previous_step = some(seed);
        out->flips = some(seed);
        out->flip_fraction = some_double(seed);
        for (size_t i = 0; i < 9; i++)
            out->transitions[i] = some(seed);
    }
    if ((out->has_reference = check_random(seed) & 1)) {
        out->reference_mismatches = some(seed);
        out->first_mismatch = out->reference_mismatches > 0 ? some(seed) : 0;
    }
}

static void some_filed(uint64_t *seed, struct trit_report *out)
{
    out->has_stored = check_random(seed) & 1;
    out->stored = out->has_stored && (check_random(seed) & 1);
    out->superseded = check_random(seed) & 1;
    out->attempt = (uint32_t)some(seed);
    out->replica = (uint32_t)some(seed);
    out->shard_rank = (uint8_t)(check_random(seed) % (TRIT_RANK_MAX + 1));
    for (uint32_t i = 0; i < out->shard_rank; i++) {
        out->shard_global_shape[i] = some(seed);
        out->shard_offset[i] = some(seed);
    }
    out->shards_present = (uint32_t)some(seed);
    out->shards_expected = (uint32_t)some(seed);
    out->health = (enum trit_health)(check_random(seed) % (TRIT_HEALTH_FAILING + 1));
    out->health_reason_count = check_random(seed) % (TRIT_HEALTH_REASONS_MAX + 1);
    for (size_t i = 0; i < out->health_reason_count; i++) {
        struct trit_health_reason *reason = &out->health_reasons[i];

        reason->severity = (enum trit_health)(check_random(seed) % 4);
        reason->since_step = some(seed);
        reason->value = some_double(seed);
        reason->threshold = some_double(seed);
        some_name(seed, reason->rule, TRIT_HEALTH_RULE_BYTES_MAX);
        some_name(seed, reason->text, TRIT_HEALTH_TEXT_BYTES_MAX);
    }
}

CASE(any_report, "any report is read back bit for bit and never truncated")
{
    uint64_t seed = check_seed();
    for (int round = 0; round < 2000; round++) {
        struct trit_report report, back;
        uint8_t bytes[REPORT_BYTES_MAX];
        some_report(&seed, &report);
        some_filed(&seed, &report);
        size_t count = encode_report(&report, bytes, sizeof(bytes));
        CHECK(count > 0);
        CHECK_EQ(decode_report(bytes, count, &back, error), 0);
        check_report(&back, &report);
        size_t less = check_random(&seed) % count;
        memset(bytes, 0xa5, sizeof(bytes));
        CHECK_EQ(encode_report(&report, bytes, less), 0);
        CHECK_EQ(bytes[less], 0xa5);
    }
}

CASE(as_nanopb, "a report has the bytes that nanopb gives the same report")
{
    uint64_t seed = check_seed();
    for (int round = 0; round < 2000; round++) {
        struct trit_report report;
        trit_v1_LayerReport wire;
        uint8_t bytes[REPORT_BYTES_MAX], theirs[REPORT_BYTES_MAX];
        pb_ostream_t stream = pb_ostream_from_buffer(theirs, sizeof(theirs));
        some_report(&seed, &report);
        some_filed(&seed, &report);
        size_t count = encode_report(&report, bytes, sizeof(bytes));
        CHECK_EQ(wire_decode(&message_report, bytes, count, &wire, error), 0);
        CHECK(pb_encode(&stream, trit_v1_LayerReport_fields, &wire));
        CHECK_EQ(stream.bytes_written, count);
        CHECK_MEM(bytes, theirs, count);
    }
}

static void longest_finding(struct trit_finding *finding)
{
    memset(finding, 'x', sizeof(*finding));
    finding->kind = TRIT_FINDING_SCALE_ZERO_UNDER_CODES;
    finding->severity = TRIT_SEVERITY_UNDECIDED;
    finding->has_index = finding->has_group = finding->has_count = true;
    finding->index = finding->group = finding->count = UINT64_MAX;
    finding->expected[TRIT_FINDING_VALUE_BYTES_MAX] = '\0';
    finding->got[TRIT_FINDING_VALUE_BYTES_MAX] = '\0';
    finding->hint[TRIT_FINDING_HINT_BYTES_MAX] = '\0';
}

static void longest_filed(struct trit_report *report)
{
    report->has_stored = report->stored = report->superseded = true;
    report->shard_rank = TRIT_RANK_MAX;
    report->shards_present = report->shards_expected = UINT32_MAX;
    report->health = TRIT_HEALTH_FAILING;
    report->health_reason_count = TRIT_HEALTH_REASONS_MAX;
    for (size_t i = 0; i < TRIT_HEALTH_REASONS_MAX; i++) {
        struct trit_health_reason *reason = &report->health_reasons[i];

        memset(reason->rule, 'r', TRIT_HEALTH_RULE_BYTES_MAX);
        memset(reason->text, 't', TRIT_HEALTH_TEXT_BYTES_MAX);
        reason->rule[TRIT_HEALTH_RULE_BYTES_MAX] = '\0';
        reason->text[TRIT_HEALTH_TEXT_BYTES_MAX] = '\0';
        reason->severity = TRIT_HEALTH_WARNING;
    }
}

CASE(longest_report, "the longest report and the longest head fit their bounds")
{
    struct trit_report report;
    memset(&report, 0xff, sizeof(report));
    report.run[255] = report.layer[255] = report.kernel[15] = report.version[31] = 0;
    memset(report.run, 'r', 255);
    memset(report.layer, 'l', 255);
    memset(report.kernel, 'k', 15);
    memset(report.version, 'v', 31);
    report.rank = TRIT_RANK_MAX;
    report.sample_count = TRIT_SAMPLES_MAX;
    report.is_ternary = report.has_previous = report.has_reference = true;
    report.has_mse = report.has_cosine = report.has_sqnr_db = report.has_scales = true;
    report.finding_count = TRIT_FINDINGS_MAX;
    for (uint32_t i = 0; i < TRIT_FINDINGS_MAX; i++)
        longest_finding(&report.findings[i]);
    longest_filed(&report);
    struct trit_report back;
    uint8_t bytes[REPLY_HEAD_BYTES_MAX];
    size_t count = encode_report_entry(&report, bytes, REPORT_BYTES_MAX);
    CHECK(count > 1000);
    CHECK_EQ(decode_report(bytes + 3, count - 3, &back, error), 0);
    check_report(&back, &report);
    struct wire_projected reply = {.report = &report,
                                   .encoding = UINT32_MAX,
                                   .dtype = UINT32_MAX,
                                   .rank = TRIT_RANK_MAX,
                                   .shape = report.shape,
                                   .scale_bytes = UINT64_MAX,
                                   .data_bytes = UINT64_MAX};
    size_t scales_at;
    CHECK(encode_projected(&reply, bytes, sizeof(bytes), &scales_at) > count);
}

/* ---- a page of reports ------------------------------------------------------------- */

struct page {
    uint32_t count;
    struct trit_report reports[3];
};

static void page_visit(void *arg, const struct trit_report *report)
{
    struct page *page = arg;
    CHECK(page->count < 3);
    page->reports[page->count++] = *report;
}

CASE(reports_page, "a page of reports is read in order with its token")
{
    struct trit_report first = sample_report(), second = {.run = "r", .layer = "l"};
    char token[PAGE_TOKEN_BYTES_MAX + 1];
    struct page page = {0};
    CHECK_EQ(decode_reports_page(vector_reports_page, sizeof(vector_reports_page),
                                 page_visit, &page, token, error),
             0);
    second.step = 8;
    CHECK_EQ(page.count, 2);
    check_report(&page.reports[0], &first);
    check_report(&page.reports[1], &second);
    CHECK_STR(token, "r/l/8");
}

CASE(reports_page_encodes, "a page put together from entries and token is read back")
{
    struct trit_report report = sample_report(), second = {.run = "r", .layer = "l"};
    struct assembled message = {0};
    struct page page = {0};
    char token[PAGE_TOKEN_BYTES_MAX + 1];
    uint8_t bytes[REPORT_BYTES_MAX];
    second.step = 8;
    assemble(&message, bytes, encode_report_entry(&report, bytes, sizeof(bytes)));
    /* protobuf leaves out the zero digest, this codec writes it. */
    assemble(&message, bytes, encode_report_entry(&second, bytes, sizeof(bytes)));
    assemble(&message, bytes, encode_page_token("r/l/8", bytes, sizeof(bytes)));
    CHECK_EQ(decode_reports_page(message.bytes, message.count, page_visit, &page, token,
                                 error),
             0);
    CHECK_EQ(page.count, 2);
    check_report(&page.reports[1], &second);
    CHECK_STR(token, "r/l/8");
    CHECK_MEM(message.bytes + message.count - 7,
              vector_reports_page + sizeof(vector_reports_page) - 7, 7);
}

static void take_damaged(void *arg, const struct wire_damaged_reports *damaged)
{
    struct assembled *message = arg;
    uint8_t bytes[DAMAGED_BYTES_MAX];

    assemble(message, bytes, encode_damaged_entry(damaged, bytes, sizeof(bytes)));
}

CASE(damaged_page,
     "damaged reports of a page are read in order, and encoded as they were")
{
    struct assembled message = {0};
    struct page page = {0};
    char token[PAGE_TOKEN_BYTES_MAX + 1];
    const size_t count = sizeof(vector_damaged_page);

    CHECK_EQ(
        decode_damaged_page(vector_damaged_page, count, take_damaged, &message, error),
        0);
    CHECK_EQ(message.count, 2 + 8 + 2 + 20);
    CHECK_MEM(message.bytes, vector_damaged_page + count - message.count, message.count);
    CHECK_EQ(
        decode_reports_page(vector_damaged_page, count, page_visit, &page, token, error),
        0);
    CHECK_EQ(page.count, 1);
    CHECK_STR(token, "r/m/9");
    CHECK_EQ(decode_damaged_page(vector_damaged_page, count - 1, take_damaged, &message,
                                 error),
             -1);
    struct wire_damaged_reports longest = {
        .step = UINT64_MAX, .attempt = UINT32_MAX, .replica = UINT32_MAX};

    memset(longest.run, 'r', TRIT_NAME_BYTES_MAX);
    memset(longest.layer, 'l', TRIT_NAME_BYTES_MAX);
    uint8_t bytes[DAMAGED_BYTES_MAX];

    CHECK(encode_damaged_entry(&longest, bytes, sizeof(bytes)) > 0);
}

CASE(last_page, "the last page has no token")
{
    char token[PAGE_TOKEN_BYTES_MAX + 1] = "before";
    struct page page = {0};
    uint8_t bytes[8];
    CHECK_EQ(encode_page_token("", bytes, sizeof(bytes)), 0);
    CHECK_EQ(decode_reports_page(bytes, 0, page_visit, &page, token, error), 0);
    CHECK_EQ(page.count, 0);
    CHECK_STR(token, "");
}

CASE(bad_pages, "a damaged page names the field and sets no token")
{
    static const uint8_t cut[] = {0x0a, 5, 0x0a, 1, 'r'};
    static const uint8_t bad_report[] = {0x0a, 2, 0x0a, 1};
    static const uint8_t bad_token[] = {0x12, 1, 0xff};
    static uint8_t long_token[3 + PAGE_TOKEN_BYTES_MAX + 1] = {0x12, 0xa1, 0x06};
    char token[PAGE_TOKEN_BYTES_MAX + 1] = "before";
    struct page page = {0};
    memset(long_token + 3, 't', sizeof(long_token) - 3);
    const struct {
        const uint8_t *bytes;
        size_t count;
        const char *error;
    } cases[] = {
        {cut, sizeof(cut), "malformed"},
        {bad_report, sizeof(bad_report), "run: truncated"},
        {bad_token, sizeof(bad_token), "next_page_token: not UTF-8 at byte 0"},
        {long_token, sizeof(long_token), "next_page_token: longer than 800 bytes"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_EQ(decode_reports_page(cases[i].bytes, cases[i].count, page_visit, &page,
                                     token, error),
                 -1);
        CHECK_STR(error, cases[i].error);
        CHECK_STR(token, "before");
    }
    CHECK_EQ(page.count, 0);
}

/* ---- health and details ------------------------------------------------------------ */

CASE(health, "every health status is encoded and read back")
{
    uint8_t bytes[8];
    enum health_status status;
    size_t count = encode_health(HEALTH_NOT_SERVING, bytes, sizeof(bytes));
    CHECK_EQ(count, sizeof(vector_health));
    CHECK_MEM(bytes, vector_health, count);
    for (int s = HEALTH_UNKNOWN; s <= HEALTH_SERVICE_UNKNOWN; s++) {
        count = encode_health((enum health_status)s, bytes, sizeof(bytes));
        CHECK(count > 0);
        reading_message(&reading, scan_plain, bytes, count);
        CHECK_EQ(decode_health(part(PART_ROOT), &status, error), 0);
        CHECK_EQ(status, s);
        reading_fini(&reading);
    }
}
