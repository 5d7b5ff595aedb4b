/* SPDX-License-Identifier: Apache-2.0 */
/* What decoders make of unusual and of bad messages: protobuf's rules where they
 * are lenient, and an error that names the field where they are not. */
#include "proto/codec/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/proto_samples.h"
#include "vectors.h"

/* ---- helpers -------------------------------------------------------------------- */

static char error[CODEC_ERROR_BYTES];

/* Small fields in the heap, at their exact size, for the sanitizer's sake. */
static struct scan_part part_of(const void *bytes, size_t count)
{
    struct scan_part part = {.bytes = malloc(count ? count : 1), .count = count};
    CHECK(part.bytes);
    memcpy(part.bytes, bytes, count);
    return part;
}

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static int project(const void *bytes, size_t count, struct wire_project *out)
{
    struct scan_part part = part_of(bytes, count);
    int result = decode_project(&part, out, error);
    free(part.bytes);
    return result;
}

static int tensor(const void *bytes, size_t count, struct wire_tensor *out)
{
    struct scan_part part = part_of(bytes, count);
    int result = decode_tensor(&part, out, error);
    free(part.bytes);
    return result;
}

static void project_refused(const char *words, const void *bytes, size_t count)
{
    struct wire_project out, before;
    memset(&before, 0x5a, sizeof(before));
    memset(&out, 0x5a, sizeof(out));
    error[0] = '\0';
    CHECK_EQ(project(bytes, count, &out), -1);
    CHECK_STR(error, words);
    CHECK_MEM(&out, &before, sizeof(out));
}

static void tensor_refused(const char *words, const void *bytes, size_t count)
{
    struct wire_tensor out, before;
    memset(&before, 0x5a, sizeof(before));
    memset(&out, 0x5a, sizeof(out));
    error[0] = '\0';
    CHECK_EQ(tensor(bytes, count, &out), -1);
    CHECK_STR(error, words);
    CHECK_MEM(&out, &before, sizeof(out));
}

/* ---- lenient -------------------------------------------------------------------- */

CASE(last_wins, "the last value of a scalar that occurs twice counts")
{
    struct wire_tensor out;
    CHECK_EQ(tensor(BYTES(0x08, 1, 0x08, 2, 0x08, 3), &out), 0);
    CHECK_EQ(out.dtype, 3);
}

CASE(submessages_merge, "a message that occurs twice is merged")
{
    /* layer { run "a" step 5 } options { group_size 3 } layer { layer "b" run "c" } */
    struct wire_project out;
    CHECK_EQ(project(BYTES(0x12, 5, 0x0a, 1, 'a', 0x18, 5, 0x0a, 2, 0x08, 3, 0x12, 6,
                           0x12, 1, 'b', 0x0a, 1, 'c'),
                     &out),
             0);
    CHECK_STR(out.layer.run, "c");
    CHECK_STR(out.layer.layer, "b");
    CHECK_EQ(out.layer.step, 5);
    CHECK_EQ(out.group_size, 3);
}

CASE(packed_or_not, "repeated numbers are read packed, unpacked and mixed")
{
    struct wire_tensor packed, unpacked, mixed;
    CHECK_EQ(tensor(BYTES(0x12, 3, 2, 3, 4), &packed), 0);
    CHECK_EQ(tensor(BYTES(0x10, 2, 0x10, 3, 0x10, 4), &unpacked), 0);
    CHECK_EQ(tensor(BYTES(0x10, 2, 0x12, 1, 3, 0x12, 0, 0x10, 4), &mixed), 0);
    CHECK_EQ(packed.rank, 3);
    CHECK_EQ(packed.shape[2], 4);
    check_tensor(&packed, &unpacked);
    check_tensor(&packed, &mixed);
}

CASE(unknown_enums, "an unknown enum value is kept as a number, also a negative one")
{
    struct wire_tensor out;
    CHECK_EQ(tensor(BYTES(0x08, 77), &out), 0);
    CHECK_EQ(out.dtype, 77);
    CHECK_EQ(tensor(BYTES(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
                    &out),
             0);
    CHECK_EQ(out.dtype, UINT32_MAX); /* -1 */
}

CASE(unknown_fields, "unknown fields are skipped at every level")
{
    struct wire_project out;
    CHECK_EQ(project(BYTES(0x12, 14, 0x0a, 1, 'a', 0x49, 1, 2, 3, 4, 5, 6, 7, 8, 0x18, 7,
                           0xba, 0x3e, 2, 'h', 'i', 0x45, 1, 2, 3, 4, 0x98, 0x75, 1),
                     &out),
             0);
    CHECK_STR(out.layer.run, "a");
    CHECK_EQ(out.layer.step, 7);
}

CASE(empty_layers, "a layer without a run counts as absent")
{
    struct wire_project out;
    CHECK_EQ(project(BYTES(0x12, 0), &out), 0);
    CHECK(!out.layer.present);
    CHECK_EQ(project(BYTES(0x12, 3, 0x12, 1, 'l'), &out), 0);
    CHECK(!out.layer.present);
    CHECK_STR(out.layer.layer, "l");
}

CASE(absent_or_zero, "an optional field distinguishes 0 from absent")
{
    struct scan_part with = part_of("\x15\0\0\0\0", 5), without = part_of("", 0);
    struct wire_chunk chunk;
    CHECK_EQ(decode_chunk(&with, &chunk, error), 0);
    CHECK(chunk.has_crc32c);
    CHECK_EQ(decode_chunk(&without, &chunk, error), 0);
    CHECK(!chunk.has_crc32c);
    free(with.bytes);
    free(without.bytes);
}

/* ---- names ------------------------------------------------------------------------ */

/* layer { run = text } of the given bytes. */
static size_t run_message(uint8_t *out, const void *text, size_t count)
{
    size_t at = 0;
    uint8_t *inner = out + 3;
    inner[at++] = 0x0a;
    if (count > 127)
        inner[at++] = (uint8_t)(count | 0x80);
    inner[at++] = (uint8_t)(count > 127 ? count >> 7 : count);
    memcpy(inner + at, text, count);
    at += count;
    out[0] = 0x12;
    out[1] = (uint8_t)(at | 0x80);
    out[2] = (uint8_t)(at >> 7);
    return at + 3;
}

CASE(name_lengths, "a name may have 255 bytes but not 256")
{
    uint8_t bytes[512], text[300];
    struct wire_project out;
    memset(text, 'x', sizeof(text));
    CHECK_EQ(project(bytes, run_message(bytes, text, 255), &out), 0);
    CHECK_EQ(strlen(out.layer.run), 255);
    for (size_t count = 256; count <= sizeof(text); count++)
        project_refused("layer.run: longer than 255 bytes", bytes,
                        run_message(bytes, text, count));
}

CASE(good_names, "a name may be any UTF-8")
{
    static const char *const names[] = {
        "a",
        "\x01\x7f",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "\xe2\x82\xac uro",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint8_t bytes[64];
        struct wire_project out;
        CHECK_EQ(project(bytes, run_message(bytes, names[i], strlen(names[i])), &out), 0);
        CHECK_STR(out.layer.run, names[i]);
    }
}

CASE(bad_names, "a name with a NUL or invalid UTF-8 is refused by its path")
{
    static const struct {
        const char *text;
        size_t count;
        const char *words;
    } cases[] = {
        {"a\0b", 3, "layer.run: a NUL at byte 1"},
        {"\0", 1, "layer.run: a NUL at byte 0"},
        {"a\x80", 2, "layer.run: not UTF-8 at byte 1"},
        {"\xc0\x80", 2, "layer.run: not UTF-8 at byte 0"}, /* overlong */
        {"\xc1\xbf", 2, "layer.run: not UTF-8 at byte 0"},
        {"\xe0\x9f\xbf", 3, "layer.run: not UTF-8 at byte 0"},
        {"\xf0\x8f\xbf\xbf", 4, "layer.run: not UTF-8 at byte 0"},
        {"\xed\xa0\x80", 3, "layer.run: not UTF-8 at byte 0"}, /* surrogate */
        {"\xf4\x90\x80\x80", 4, "layer.run: not UTF-8 at byte 0"},
        {"\xf5\x80\x80\x80", 4, "layer.run: not UTF-8 at byte 0"},
        {"\xff", 1, "layer.run: not UTF-8 at byte 0"},
        {"ab\xc3", 3, "layer.run: not UTF-8 at byte 2"}, /* cut */
        {"\xe2\x82", 2, "layer.run: not UTF-8 at byte 0"},
        {"\xf0\x90\x80", 3, "layer.run: not UTF-8 at byte 0"},
        {"\xe2\x28\xa1", 3, "layer.run: not UTF-8 at byte 0"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[64];
        project_refused(cases[i].words, bytes,
                        run_message(bytes, cases[i].text, cases[i].count));
    }
}

CASE(bad_query_names, "names in queries obey the rules of names")
{
    struct scan_part run = part_of("\x0a\x01\xff", 3), layer = part_of("\x12\x01\0", 3);
    struct scan_part token = part_of("\x3a\x01\xff", 3);
    struct wire_reports_get get;
    struct wire_reports_list list;
    char service[HEALTH_SERVICE_BYTES_MAX + 1] = "before";
    CHECK_EQ(decode_reports_get(&run, &get, error), -1);
    CHECK_STR(error, "run: not UTF-8 at byte 0");
    CHECK_EQ(decode_reports_get(&layer, &get, error), -1);
    CHECK_STR(error, "layer: a NUL at byte 0");
    CHECK_EQ(decode_reports_list(&layer, &list, error), -1);
    CHECK_STR(error, "layer: a NUL at byte 0");
    CHECK_EQ(decode_reports_list(&token, &list, error), -1);
    CHECK_STR(error, "page_token: not UTF-8 at byte 0");
    CHECK_EQ(decode_health_check(&run, service, error), -1);
    CHECK_STR(error, "service: not UTF-8 at byte 0");
    CHECK_STR(service, "before");
    free(run.bytes);
    free(layer.bytes);
    free(token.bytes);
}

CASE(bad_starts, "stream starts and verify requests obey the rules of names")
{
    struct scan_part start = part_of("\x12\x03\x12\x01\xff", 5), none = part_of("", 0);
    struct scan_part options = part_of("\x20\x01", 2);
    struct wire_project project_out;
    struct wire_verify verify_out;
    CHECK_EQ(decode_project_start(&start, &project_out, error), -1);
    CHECK_STR(error, "layer.layer: not UTF-8 at byte 0");
    CHECK_EQ(decode_verify(&start, &none, &verify_out, error), -1);
    CHECK_STR(error, "layer.layer: not UTF-8 at byte 0");
    CHECK_EQ(decode_verify_start(&start, &none, &verify_out, error), -1);
    CHECK_STR(error, "layer.layer: not UTF-8 at byte 0");
    CHECK_EQ(decode_verify_start(&none, &options, &verify_out, error), -1);
    CHECK_STR(error, "options.tolerance: wrong wire type");
    free(start.bytes);
    free(none.bytes);
    free(options.bytes);
}

/* ---- the rest ---------------------------------------------------------------------- */

CASE(rank_bound, "a shape may have 8 axes but not 9, in either encoding")
{
    struct wire_tensor out;
    CHECK_EQ(tensor(BYTES(0x12, 8, 1, 2, 3, 4, 5, 6, 7, 8), &out), 0);
    CHECK_EQ(out.rank, 8);
    tensor_refused("shape: more than 8 values",
                   BYTES(0x12, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9));
    tensor_refused("shape: more than 8 values",
                   BYTES(0x12, 7, 1, 2, 3, 4, 5, 6, 7, 0x10, 8, 0x10, 9));
    tensor_refused("shape: more than 8 values",
                   BYTES(0x12, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0x12, 1, 9));
}

CASE(numbers_out_of_range, "a number that does not fit its field is refused")
{
    project_refused("options.group_size: out of range",
                    BYTES(0x0a, 6, 0x08, 0x80, 0x80, 0x80, 0x80, 0x10));
}

CASE(wrong_wire_types, "a field with another wire type is refused by its path")
{
    tensor_refused("dtype: wrong wire type", BYTES(0x0a, 1, 1));
    tensor_refused("shape: wrong wire type", BYTES(0x15, 1, 2, 3, 4));
    project_refused("options: wrong wire type", BYTES(0x08, 1));
    project_refused("layer.run: wrong wire type", BYTES(0x12, 2, 0x08, 1));
    project_refused("options.encoding: wrong wire type",
                    BYTES(0x12, 3, 0x0a, 1, 'r', 0x0a, 6, 0x08, 1, 0x1a, 2, 1, 1));
}

CASE(truncated_inside,
     "a message that ends inside a field is refused by the field's path")
{
    project_refused("layer.run: truncated", BYTES(0x12, 3, 0x0a, 2, 'a'));
    project_refused("layer: truncated", BYTES(0x12, 1, 0x88));
    project_refused("layer.step: truncated", BYTES(0x12, 2, 0x18, 0x80));
    tensor_refused("shape: truncated", BYTES(0x12, 2, 1, 0x80));
    tensor_refused("shape: truncated", BYTES(0x12, 2, 1));
    tensor_refused("field 9: truncated", BYTES(0x49, 1, 2, 3));
}

CASE(groups_inside, "groups and field number 0 are refused inside messages")
{
    project_refused("layer.field 9: a group, or an unknown wire type",
                    BYTES(0x12, 2, 0x4b, 0x4c));
    project_refused("layer: a field number is 0", BYTES(0x12, 2, 0x00, 1));
    tensor_refused("field 2000: a group, or an unknown wire type", BYTES(0x87, 0x7d));
}

CASE(long_varints, "a varint of more than 10 bytes is refused")
{
    tensor_refused("shape: varint overflow",
                   BYTES(0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                         0x80, 0x00));
}

CASE(bad_reports, "an impossible report is refused by its field")
{
    static const struct {
        uint8_t bytes[48];
        size_t count;
        const char *words;
    } cases[] = {
        {{0xea, 0x01, 2, 1, 2}, 5, "transitions: 2 values, not 9"},
        {{0xd0, 0x01, 7}, 3, "transitions: 0 values, not 9"},
        {{0xea, 0x01, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
         13,
         "transitions: more than 9 values"},
        {{0xfa, 0x01, 3, 1, 2, 3}, 6, "digest: 3 bytes, not 32"},
        {{0xfa, 0x01, 33}, 36, "digest: longer than 32 bytes"},
        {{0x82, 0x02, 1, 0xff}, 4, "kernel: not UTF-8 at byte 0"},
        {{0x82, 0x02, 16}, 19, "kernel: longer than 15 bytes"},
        {{0x82, 0x02, 17}, 20, "kernel: longer than 15 bytes"},
        {{0x8a, 0x02, 1, 0}, 4, "version: a NUL at byte 0"},
        {{0x6a, 36}, 38, "sample_values: more than 8 values"},
        {{0x0a, 1, 0xff}, 3, "run: not UTF-8 at byte 0"},
        {{0x12, 1, 0xff}, 3, "layer: not UTF-8 at byte 0"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct trit_report out, before;
        memset(&before, 0x5a, sizeof(before));
        memset(&out, 0x5a, sizeof(out));
        CHECK_EQ(decode_report(cases[i].bytes, cases[i].count, &out, error), -1);
        CHECK_STR(error, cases[i].words);
        CHECK_MEM(&out, &before, sizeof(out));
    }
}

CASE(bad_replies, "bad replies are refused by their fields")
{
    struct scan_part part = part_of("\x0a\x05\x52\x03zzz", 7);
    struct scan_part health = part_of("\x0d\0\0\0\0", 5);
    struct wire_projected_head head;
    struct trit_report report;
    enum health_status status = HEALTH_SERVING;
    CHECK_EQ(decode_projected(&part, &head, error), -1);
    CHECK_STR(error, "report.field 10: wrong wire type");
    CHECK_EQ(decode_verified(&part, &report, error), -1);
    CHECK_STR(error, "report.field 10: wrong wire type");
    CHECK_EQ(decode_health(&health, &status, error), -1);
    CHECK_STR(error, "status: wrong wire type");
    CHECK_EQ(status, HEALTH_SERVING);
    free(part.bytes);
    free(health.bytes);
}

/* Whatever happens to the bytes: no crash, and an error where there is none. */
CASE(noise, "a damaged report is either read or refused with a reason")
{
    uint64_t seed = check_seed();
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[sizeof(vector_report)];
        struct trit_report out;
        memcpy(bytes, vector_report, sizeof(bytes));
        for (uint64_t flips = 1 + check_random(&seed) % 4; flips > 0; flips--)
            bytes[check_random(&seed) % sizeof(bytes)] = (uint8_t)check_random(&seed);
        struct scan_part part = part_of(bytes, check_random(&seed) % sizeof(bytes));
        error[0] = '\0';
        int result = decode_report(part.bytes, part.count, &out, error);
        CHECK_EQ(result != 0, error[0] != '\0');
        free(part.bytes);
    }
}
