/* SPDX-License-Identifier: Apache-2.0 */
/* Watch, Compare, Rewind, Fork and Delete: both sides, against Google's protobuf. */
#include "proto/codec/history.h"

#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/proto_samples.h"
#include "vectors.h"

static char error[CODEC_ERROR_BYTES];
static uint8_t bytes[REPLY_HEAD_BYTES_MAX];

/* What was encoded is the vector; returns it as a part to decode. */
static struct scan_part encoded(size_t count, const uint8_t *vector, size_t vector_count)
{
    CHECK_EQ(count, vector_count);
    CHECK_MEM(bytes, vector, count);
    return (struct scan_part){.bytes = bytes, .count = count, .seen = true};
}

#define ENCODED(count, name) encoded(count, vector_##name, sizeof(vector_##name))

static struct scan_part part_of(const char *text, size_t count)
{
    return (struct scan_part){.bytes = (uint8_t *)(uintptr_t)text, .count = count};
}

CASE(watch, "a ReportsWatchRequest is encoded and read back")
{
    const struct wire_reports_watch sample = {.run = "r", .cursor = "17"};
    struct wire_reports_watch request;
    struct scan_part part =
        ENCODED(encode_reports_watch(&sample, bytes, sizeof(bytes)), reports_watch);

    CHECK_EQ(decode_reports_watch(&part, &request, error), 0);
    CHECK_STR(request.run, "r");
    CHECK_STR(request.cursor, "17");
}

CASE(compare, "a ReportsCompareRequest is encoded and read back")
{
    const struct wire_reports_compare sample = {.a = sample_layer(),
                                                .b = {.present = true,
                                                      .run = "q",
                                                      .layer = "m",
                                                      .step = 9,
                                                      .attempt = 2,
                                                      .replica = 3}};
    struct wire_reports_compare request;
    struct scan_part part =
        ENCODED(encode_reports_compare(&sample, bytes, sizeof(bytes)), reports_compare);

    CHECK_EQ(decode_reports_compare(&part, &request, error), 0);
    check_layer(&request.a, &sample.a);
    check_layer(&request.b, &sample.b);
    CHECK_EQ(request.b.attempt, 2);
    CHECK_EQ(request.b.replica, 3);
}

CASE(rewind, "a ReportsRewindRequest is encoded and read back")
{
    const struct wire_reports_rewind sample = {.run = "r", .step = UINT64_C(1) << 62};
    struct wire_reports_rewind request;
    struct scan_part part =
        ENCODED(encode_reports_rewind(&sample, bytes, sizeof(bytes)), reports_rewind);

    CHECK_EQ(decode_reports_rewind(&part, &request, error), 0);
    CHECK_STR(request.run, "r");
    CHECK_EQ(request.step, UINT64_C(1) << 62);
}

CASE(fork, "a ReportsForkRequest is encoded and read back")
{
    const struct wire_reports_fork sample = {.run = "r", .step = 7, .new_run = "s"};
    struct wire_reports_fork request;
    struct scan_part part =
        ENCODED(encode_reports_fork(&sample, bytes, sizeof(bytes)), reports_fork);

    CHECK_EQ(decode_reports_fork(&part, &request, error), 0);
    CHECK_STR(request.run, "r");
    CHECK_STR(request.new_run, "s");
    CHECK_EQ(request.step, 7);
}

CASE(delete, "a ReportsDeleteRequest is encoded and read back; steps may be absent")
{
    struct wire_reports_delete sample = {.run = "r",
                                         .layer = "l",
                                         .has_from = true,
                                         .has_to = true,
                                         .step_to = 9},
                               request;
    struct scan_part part =
        ENCODED(encode_reports_delete(&sample, bytes, sizeof(bytes)), reports_delete);

    CHECK_EQ(decode_reports_delete(&part, &request, error), 0);
    CHECK_STR(request.run, "r");
    CHECK_STR(request.layer, "l");
    CHECK(request.has_from && request.has_to);
    CHECK_EQ(request.step_from, 0);
    CHECK_EQ(request.step_to, 9);
    sample.has_from = sample.has_to = false;
    part.count = encode_reports_delete(&sample, bytes, sizeof(bytes));
    CHECK_EQ(decode_reports_delete(&part, &request, error), 0);
    CHECK(!request.has_from && !request.has_to);
}

CASE(replies, "replies are encoded and read back")
{
    const struct trit_report report = sample_report();
    const struct wire_compared compared = {.elements = 300,
                                           .codes_differing = 5,
                                           .scale_ratio_max = 1.5,
                                           .has_first_group = true};
    struct wire_compared difference;
    struct trit_report found;
    char cursor[WATCH_CURSOR_BYTES_MAX + 1];
    uint32_t attempt;
    uint64_t reports;
    struct scan_part part =
        ENCODED(encode_watched(&report, "18", bytes, sizeof(bytes)), watched);

    CHECK_EQ(decode_watched(&part, &found, cursor, error), 0);
    check_report(&found, &report);
    CHECK_STR(cursor, "18");
    part = ENCODED(encode_compared(&compared, bytes, sizeof(bytes)), compared);
    CHECK_EQ(decode_compared(&part, &difference, error), 0);
    CHECK(!difference.equal && difference.has_first_group);
    CHECK_EQ(difference.elements, 300);
    CHECK_EQ(difference.codes_differing, 5);
    CHECK(difference.scale_ratio_max == 1.5);
    CHECK_EQ(difference.first_group, 0);
    part = ENCODED(encode_rewound(3, bytes, sizeof(bytes)), rewound);
    CHECK_EQ(decode_rewound(&part, &attempt, error), 0);
    CHECK_EQ(attempt, 3);
    part =
        ENCODED(encode_reports_changed(UINT64_C(1) << 40, bytes, sizeof(bytes)), forked);
    CHECK_EQ(decode_reports_changed(&part, &reports, error), 0);
    CHECK_EQ(reports, UINT64_C(1) << 40);
    part =
        ENCODED(encode_reports_changed(UINT64_C(1) << 40, bytes, sizeof(bytes)), deleted);
    CHECK_EQ(decode_reports_changed(&part, &reports, error), 0);
}

CASE(capacities, "an encoder writes the whole message or nothing")
{
    const struct wire_reports_compare compare = {.a = sample_layer(),
                                                 .b = sample_layer()};
    const struct wire_reports_fork fork = {.run = "r", .new_run = "s"};
    const struct trit_report report = sample_report();
    const size_t whole[] = {encode_reports_compare(&compare, bytes, sizeof(bytes)),
                            encode_reports_fork(&fork, bytes, sizeof(bytes)),
                            encode_watched(&report, "1", bytes, sizeof(bytes))};

    for (size_t i = 0; i < 3; i++)
        CHECK(whole[i] > 0);
    CHECK_EQ(encode_reports_compare(&compare, bytes, whole[0] - 1), 0);
    CHECK_EQ(encode_reports_fork(&fork, bytes, whole[1] - 1), 0);
    CHECK_EQ(encode_watched(&report, "1", bytes, whole[2] - 1), 0);
}

CASE(refused, "a name that is no name is refused, and the error says which")
{
    const struct scan_part nul = part_of("\x0a\x01\x00", 3);
    const struct scan_part inner = part_of("\x12\x03\x12\x01\xff", 5);
    const struct scan_part number =
        part_of("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11);
    struct wire_reports_watch watch;
    struct wire_reports_compare compare;
    struct wire_reports_rewind rewind;
    struct wire_reports_fork fork;
    struct wire_reports_delete deletion;

    CHECK_EQ(decode_reports_watch(&nul, &watch, error), -1);
    CHECK(strstr(error, "run: "));
    CHECK_EQ(decode_reports_fork(&nul, &fork, error), -1);
    CHECK_EQ(decode_reports_delete(&nul, &deletion, error), -1);
    CHECK_EQ(decode_reports_compare(&inner, &compare, error), -1);
    CHECK(strstr(error, "b.layer: "));
    CHECK_EQ(decode_reports_rewind(&number, &rewind, error), -1);
}
