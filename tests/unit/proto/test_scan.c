/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/scan.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/reading.h"
#include "vectors.h"

/* ---- helpers -------------------------------------------------------------------- */

static const struct message_vector {
    const struct scan_field *table;
    const uint8_t *bytes;
    size_t count;
} vectors[] = {
    {scan_project, vector_project, sizeof(vector_project)},
    {scan_project, vector_project_bare, sizeof(vector_project_bare)},
    {scan_verify, vector_verify, sizeof(vector_verify)},
    {scan_pack, vector_pack, sizeof(vector_pack)},
    {scan_pack_stream, vector_pack_start, sizeof(vector_pack_start)},
    {scan_pack_stream, vector_pack_chunk, sizeof(vector_pack_chunk)},
    {scan_unpack, vector_unpack, sizeof(vector_unpack)},
    {scan_backward, vector_backward, sizeof(vector_backward)},
    {scan_project_stream, vector_project_start, sizeof(vector_project_start)},
    {scan_project_stream, vector_project_chunk, sizeof(vector_project_chunk)},
    {scan_verify_stream, vector_verify_start, sizeof(vector_verify_start)},
    {scan_verify_stream, vector_verify_reference, sizeof(vector_verify_reference)},
    {scan_verify_stream, vector_verify_chunk, sizeof(vector_verify_chunk)},
    {scan_plain, vector_reports_list, sizeof(vector_reports_list)},
    {scan_projected, vector_projected, sizeof(vector_projected)},
    {scan_stream_reply, vector_stream_chunk, sizeof(vector_stream_chunk)},
    {scan_stream_reply, vector_stream_scales, sizeof(vector_stream_scales)},
    {scan_stream_reply, vector_stream_report, sizeof(vector_stream_report)},
    {scan_tensor_reply, vector_tensor, sizeof(vector_tensor)},
    {scan_backward_reply, vector_backward_reply, sizeof(vector_backward_reply)},
};
enum { VECTORS = sizeof(vectors) / sizeof(vectors[0]) };

/* Both are some 200 kB: too much for a stack. */
static struct reading one, other;

static void check_same(const struct reading *a, const struct reading *b)
{
    for (size_t i = 0; i < SCAN_PARTS_MAX; i++) {
        CHECK_EQ(a->scan.parts[i].seen, b->scan.parts[i].seen);
        CHECK_EQ(a->scan.parts[i].count, b->scan.parts[i].count);
        if (a->scan.parts[i].count > 0)
            CHECK_MEM(a->scan.parts[i].bytes, b->scan.parts[i].bytes,
                      a->scan.parts[i].count);
    }
    for (size_t i = 0; i < READING_BLOBS; i++) {
        CHECK_EQ(a->blobs[i].begun, b->blobs[i].begun);
        CHECK_EQ(a->blobs[i].ended, b->blobs[i].ended);
        CHECK_EQ(a->blobs[i].announced, b->blobs[i].announced);
        CHECK_EQ(a->blobs[i].count, b->blobs[i].count);
        CHECK_MEM(a->blobs[i].bytes, b->blobs[i].bytes, a->blobs[i].count);
    }
}

static const char too_large[] = "a message's small fields exceed 16384 bytes";

/* Reads a message that must fail with these words, whole and byte by byte. */
static void check_refused(const struct scan_field *table, const uint8_t *bytes,
                          size_t count, uint64_t message_bytes, const char *words)
{
    reading_cut *const cuts[] = {reading_cut_whole, reading_cut_byte};
    for (size_t i = 0; i < 2; i++) {
        reading_run(&one, table, bytes, count, message_bytes, cuts[i], NULL);
        CHECK(one.failed);
        CHECK_STR(one.scan.error, words);
        CHECK_EQ(one.scan.status, strcmp(words, too_large) == 0 ? TRIT_RESOURCE_EXHAUSTED
                                                                : TRIT_INVALID_ARGUMENT);
        CHECK(!scan_complete(&one.scan));
        reading_feed(&one, bytes, count); /* stays failed */
        CHECK(one.failed);
        reading_fini(&one);
    }
}

#define REFUSED(table, words, ...)                                                       \
    do {                                                                                 \
        const uint8_t refused[] = {__VA_ARGS__};                                         \
        check_refused((table), refused, sizeof(refused), sizeof(refused), (words));      \
    } while (0)

static const char ends_inside[] = "the message ends inside a field";
static const char past_end[] = "a field reaches past the end of its message";
static const char bad_number[] = "a field number is out of range";
static const char group[] = "a group, or an unknown wire type";

/* ---- well-formed messages ------------------------------------------------------- */

CASE(parts_and_blobs, "small fields are collected per message, bulk fields pass through")
{
    reading_message(&one, scan_verify, vector_verify, sizeof(vector_verify));
    CHECK_EQ(one.scan.parts[PART_ROOT].seen, 1);
    CHECK_EQ(one.scan.parts[PART_OPTIONS].seen, 1);
    CHECK_EQ(one.scan.parts[PART_REFERENCE].seen, 1);
    CHECK_EQ(one.scan.parts[PART_TENSOR].seen, 1);
    CHECK_EQ(one.scan.parts[PART_START].seen, 0);
    CHECK_EQ(one.blobs[0].count, 24);
    CHECK_EQ(one.blobs[1].count, 12);
    CHECK_EQ(one.blobs[2].count, 12);
    CHECK_EQ(one.blobs[0].bytes[23], 23);
    CHECK_EQ(one.blobs[1].bytes[0], 255);
    CHECK_MEM(one.scan.parts[PART_TENSOR].bytes, "\x08\x01\x12\x02\x02\x03", 6);
    reading_fini(&one);
}

CASE(byte_by_byte, "a message fed byte by byte gives the same events")
{
    for (size_t i = 0; i < VECTORS; i++) {
        const struct message_vector *v = &vectors[i];
        reading_message(&one, v->table, v->bytes, v->count);
        reading_run(&other, v->table, v->bytes, v->count, v->count, reading_cut_byte,
                    NULL);
        CHECK(scan_complete(&other.scan));
        check_same(&one, &other);
        reading_fini(&one);
        reading_fini(&other);
    }
}

CASE(random_cuts, "a message cut at random gives the same events")
{
    uint64_t seed = check_seed();
    for (size_t i = 0; i < VECTORS; i++) {
        const struct message_vector *v = &vectors[i];
        reading_message(&one, v->table, v->bytes, v->count);
        for (int round = 0; round < 20; round++) {
            reading_run(&other, v->table, v->bytes, v->count, v->count,
                        reading_cut_random, &seed);
            CHECK(scan_complete(&other.scan));
            check_same(&one, &other);
            reading_fini(&other);
        }
        reading_fini(&one);
    }
}

CASE(never_complete_early, "a message is not complete before its last byte")
{
    for (size_t i = 0; i < VECTORS; i++) {
        const struct message_vector *v = &vectors[i];
        for (size_t count = 0; count < v->count; count++) {
            reading_run(&one, v->table, v->bytes, count, v->count, reading_cut_whole,
                        NULL);
            CHECK(!one.failed);
            CHECK(!scan_complete(&one.scan));
            reading_fini(&one);
        }
    }
}

CASE(empty_message, "an empty message is complete immediately")
{
    reading_message(&one, scan_project, NULL, 0);
    CHECK_EQ(one.scan.parts[PART_TENSOR].seen, 0);
    reading_fini(&one);
}

CASE(empty_inside, "empty inner messages and empty bulk fields are reported")
{
    /* tensor {}, then tensor { data = "" } */
    static const uint8_t bytes[] = {0x1a, 0, 0x1a, 2, 0x7a, 0};
    reading_run(&one, scan_project, bytes, sizeof(bytes), sizeof(bytes), reading_cut_byte,
                NULL);
    CHECK(scan_complete(&one.scan));
    CHECK_EQ(one.scan.parts[PART_TENSOR].seen, 2);
    CHECK_EQ(one.scan.parts[PART_TENSOR].count, 0);
    CHECK_EQ(one.blobs[0].begun, 1);
    CHECK_EQ(one.blobs[0].ended, 1);
    CHECK_EQ(one.blobs[0].announced, 0);
    reading_fini(&one);
}

CASE(any_order, "fields may come in any order")
{
    /* tensor { data, shape, dtype } before options; the data in front. */
    static const uint8_t bytes[] = {0x1a, 8,    0x7a, 1,    0xaa, 0x12, 1,    4,   0x08,
                                    0x05, 0x0a, 0x02, 0x08, 0x40, 0x48, 0x96, 0x01};
    reading_message(&one, scan_project, bytes, sizeof(bytes));
    CHECK_EQ(one.blobs[0].count, 1);
    CHECK_MEM(one.scan.parts[PART_TENSOR].bytes, "\x12\x01\x04\x08\x05", 5);
    CHECK_MEM(one.scan.parts[PART_ROOT].bytes, "\x0a\x02\x08\x40\x48\x96\x01", 7);
    reading_fini(&one);
}

CASE(repeated_messages, "a message that appears twice is merged and counted")
{
    /* Two tensors: their small fields are joined, as protobuf merges them. */
    static const uint8_t bytes[] = {0x1a, 5,    0x08, 1, 0x7a, 1, 0xaa, 0x1a,
                                    6,    0x12, 1,    4, 0x7a, 1, 0xbb};
    reading_message(&one, scan_project, bytes, sizeof(bytes));
    CHECK_EQ(one.scan.parts[PART_TENSOR].seen, 2);
    CHECK_MEM(one.scan.parts[PART_TENSOR].bytes, "\x08\x01\x12\x01\x04", 5);
    CHECK_EQ(one.blobs[0].begun, 2);
    CHECK_EQ(one.blobs[0].bytes[0], 0xbb);
    reading_fini(&one);
}

CASE(unknown_fields, "unknown fields of every wire type are collected unchanged")
{
    /* In the tensor: fixed64 (field 9), fixed32 (10), bytes (2000), varint (11). */
    static const uint8_t bytes[] = {0x1a, 25,  0x49, 1,    2,    3,    4,    5,    6,
                                    7,    8,   0x55, 1,    2,    3,    4,    0x82, 0x7d,
                                    2,    'h', 'i',  0x58, 0xff, 0xff, 0x03, 0x7a, 0};
    reading_run(&one, scan_project, bytes, sizeof(bytes), sizeof(bytes), reading_cut_byte,
                NULL);
    CHECK(scan_complete(&one.scan));
    CHECK_EQ(one.scan.parts[PART_TENSOR].count, 23);
    CHECK_MEM(one.scan.parts[PART_TENSOR].bytes, bytes + 2, 23);
    reading_fini(&one);
}

CASE(blob_of_another_type,
     "a bulk field's number with another wire type is a small field")
{
    /* Field 3 as a varint, and data (15) as fixed32: unknown fields by protobuf's
     * rules, left to the codec. */
    static const uint8_t bytes[] = {0x18, 1, 0x1a, 5, 0x7d, 1, 2, 3, 4};
    reading_message(&one, scan_project, bytes, sizeof(bytes));
    CHECK_EQ(one.blobs[0].begun, 0);
    CHECK_EQ(one.scan.parts[PART_ROOT].count, 2);
    CHECK_EQ(one.scan.parts[PART_TENSOR].count, 5);
    reading_fini(&one);
}

CASE(long_tags, "tags and values in more bytes than needed are kept unchanged")
{
    /* dtype = 1 with its tag and value in more bytes than they need. */
    static const uint8_t bytes[] = {0x1a, 6, 0x88, 0x80, 0x00, 0x81, 0x80, 0x00};
    reading_message(&one, scan_project, bytes, sizeof(bytes));
    CHECK_EQ(one.scan.parts[PART_TENSOR].count, 6);
    reading_fini(&one);
}

CASE(largest_blob, "a bulk field of nearly 2^32 bytes is announced")
{
    /* A message of 2^32-1 bytes that is one blob: 6 bytes of tag and length. */
    static const uint8_t head[] = {0x7a, 0xf9, 0xff, 0xff, 0xff, 0x0f};
    struct scan scan_;
    struct scanned found;
    const uint8_t *bytes = head;
    size_t count = sizeof(head);
    scan_init(&scan_, scan_tensor_reply, UINT32_MAX);
    CHECK_EQ(scan(&scan_, &bytes, &count, &found), SCAN_BLOB);
    CHECK_EQ(found.length, UINT32_MAX - sizeof(head));
    CHECK_EQ(scan(&scan_, &bytes, &count, &found), SCAN_MORE);
    CHECK(!scan_complete(&scan_));
    scan_fini(&scan_);
}

/* ---- malformed messages ------------------------------------------------------------ */

CASE(truncated, "a message that ends inside a field is refused at its last byte")
{
    REFUSED(scan_project, ends_inside, 0x08);             /* tag alone */
    REFUSED(scan_project, ends_inside, 0x08, 0x80);       /* half a varint */
    REFUSED(scan_project, ends_inside, 0x88);             /* half a tag */
    REFUSED(scan_project, ends_inside, 0x1a);             /* no length */
    REFUSED(scan_project, ends_inside, 0x1a, 0x80);       /* half a length */
    REFUSED(scan_project, past_end, 0x0d, 1, 2, 3);       /* 3 of 4 bytes */
    REFUSED(scan_project, past_end, 0x09, 1, 2, 3);       /* 3 of 8 */
    REFUSED(scan_project, past_end, 0x0a, 3, 1, 2);       /* small bytes */
    REFUSED(scan_project, past_end, 0x1a, 3, 8, 1);       /* inner message */
    REFUSED(scan_project, past_end, 0x1a, 3, 0x7a, 2, 1); /* blob in it */
}

/* An inner message ends where its length says, also when more follows. */
CASE(truncated_inside, "an inner message that ends inside a field is refused")
{
    REFUSED(scan_project, ends_inside, 0x1a, 1, 0x08, 0x08, 1);
    REFUSED(scan_project, ends_inside, 0x1a, 2, 0x08, 0x80, 1);
    REFUSED(scan_project, ends_inside, 0x1a, 1, 0x88, 0x00, 1, 0, 0);
    REFUSED(scan_project, past_end, 0x1a, 2, 0x7a, 1, 0);
    REFUSED(scan_project, past_end, 0x1a, 3, 0x12, 2, 1, 1, 1);
    REFUSED(scan_verify_stream, past_end, 0x0a, 4, 0x0a, 3, 0x08, 1, 1, 1);
}

CASE(overlong, "varints above 64 bits, tags above 32 bits and huge lengths are refused")
{
    /* 10 bytes hold 64 bits: the tenth may be 1 at most. */
    REFUSED(scan_project, "a varint exceeds 64 bits", 0x08, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff, 0x02);
    REFUSED(scan_project, "a varint exceeds 64 bits", 0x08, 0x80, 0x80, 0x80, 0x80, 0x80,
            0x80, 0x80, 0x80, 0x80, 0x80, 0x00);
    REFUSED(scan_project, bad_number, 0x88, 0x80, 0x80, 0x80, 0x80, 0x00, 1);
    REFUSED(scan_project, past_end, 0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0x01);
    static const uint8_t most[] = {0x08, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0x01};
    reading_message(&one, scan_project, most, sizeof(most));
    CHECK_EQ(one.scan.parts[PART_ROOT].count, sizeof(most));
    reading_fini(&one);
}

CASE(numbers, "field number 0 is refused, 2^29-1 is accepted")
{
    REFUSED(scan_project, bad_number, 0x00, 1);
    REFUSED(scan_project, bad_number, 0x02, 0);
    REFUSED(scan_project, bad_number, 0x80, 0x80, 0x80, 0x80, 0x10, 1);
    static const uint8_t last[] = {0xf8, 0xff, 0xff, 0xff, 0x0f, 1}; /* 2^29-1 */
    reading_message(&one, scan_project, last, sizeof(last));
    reading_fini(&one);
}

CASE(groups, "groups and unknown wire types are refused at every level")
{
    REFUSED(scan_project, group, 0x0b, 0x0c);
    REFUSED(scan_project, group, 0x0c, 0);
    REFUSED(scan_project, group, 0x1b, 0x1c); /* where a message is meant */
    REFUSED(scan_project, group, 0x0e, 0);
    REFUSED(scan_project, group, 0x0f, 0);
    REFUSED(scan_project, group, 0x1a, 2, 0x7b, 0x7c);
}

CASE(bytes_after, "bytes after the end of the message are refused")
{
    static const uint8_t bytes[] = {0x08, 1, 0x08};
    check_refused(scan_project, bytes, sizeof(bytes), 2,
                  "bytes after the end of the message");
    check_refused(scan_project, bytes, sizeof(bytes), 0,
                  "bytes after the end of the message");
}

CASE(too_deep, "a fifth level of messages is refused")
{
    static const struct scan_field leaf[] = {{0}};
    static const struct scan_field third[] = {{1, 4, leaf}, {0}};
    static const struct scan_field second[] = {{1, 3, third}, {0}};
    static const struct scan_field first[] = {{1, 2, second}, {0}};
    static const struct scan_field root[] = {{1, 1, first}, {0}};
    static const uint8_t bytes[] = {0x0a, 6, 0x0a, 4, 0x0a, 2, 0x0a, 0};
    check_refused(root, bytes, sizeof(bytes), sizeof(bytes),
                  "messages are nested too deep");
    reading_message(&one, first, bytes + 2, sizeof(bytes) - 2);
    reading_fini(&one);
}

/* ---- bounds ------------------------------------------------------------------------ */

CASE(part_bound, "the small fields of a message may have 16384 bytes, not one more")
{
    static uint8_t bytes[SCAN_PART_BYTES_MAX + 2];
    for (size_t i = 0; i < sizeof(bytes); i += 2) {
        bytes[i] = 0x08;
        bytes[i + 1] = 1;
    }
    reading_message(&one, scan_project, bytes, SCAN_PART_BYTES_MAX);
    CHECK_EQ(one.scan.parts[PART_ROOT].count, SCAN_PART_BYTES_MAX);
    CHECK(one.scan.parts[PART_ROOT].capacity <= SCAN_PART_BYTES_MAX);
    CHECK_MEM(one.scan.parts[PART_ROOT].bytes, bytes, SCAN_PART_BYTES_MAX);
    reading_fini(&one);
    check_refused(scan_project, bytes, sizeof(bytes), sizeof(bytes), too_large);
    /* Full but for one byte: a tag of two does not fit, nor does a length. */
    static uint8_t full[SCAN_PART_BYTES_MAX + 4];
    memcpy(full, bytes, SCAN_PART_BYTES_MAX - 4);
    static const uint8_t ends[2][7] = {{0x08, 0x81, 0x00, 0x88, 0x00, 1},
                                       {0x08, 0x81, 0x00, 0x0a, 1, 'a'}};
    for (size_t i = 0; i < 2; i++) {
        memcpy(full + SCAN_PART_BYTES_MAX - 4, ends[i], 6);
        check_refused(scan_project, full, SCAN_PART_BYTES_MAX + 2,
                      SCAN_PART_BYTES_MAX + 2, too_large);
    }
}

CASE(declared_length, "nothing is allocated from a declared length")
{
    /* 16381 bytes of field 1 are announced, 16384 with tag and length; then one
     * more. Neither is allocated before it arrives. */
    static const uint8_t fits[] = {0x0a, 0xfd, 0x7f}, exceeds[] = {0x0a, 0xfe, 0x7f};
    reading_run(&one, scan_project, fits, sizeof(fits), 1 << 20, reading_cut_whole, NULL);
    CHECK(!one.failed);
    CHECK(one.scan.parts[PART_ROOT].capacity <= 256);
    reading_fini(&one);
    check_refused(scan_project, exceeds, sizeof(exceeds), 1 << 20, too_large);
    static const uint8_t huge[] = {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f};
    check_refused(scan_project, huge, sizeof(huge), UINT64_C(1) << 40, too_large);
}

CASE(without_memory, "if memory runs out, the scan fails, reports it and leaks nothing")
{
    uint64_t n = 1;
    for (;; n++) {
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        reading_run(&one, scan_verify, vector_verify, sizeof(vector_verify),
                    sizeof(vector_verify), reading_cut_byte, NULL);
        if (!fault_disarm())
            break;
        CHECK(one.failed);
        CHECK_STR(one.scan.error, "out of memory");
        CHECK_EQ(one.scan.status, TRIT_RESOURCE_EXHAUSTED);
        reading_fini(&one);
    }
    CHECK(!one.failed && scan_complete(&one.scan));
    CHECK_EQ(n, 3); /* of four parts, two were allocated */
    reading_fini(&one);
}

/* Whatever the bytes, the scanner takes no more of them than the message has and
 * says the same however they are cut. */
CASE(noise, "damaged messages give the same result however they are cut")
{
    uint64_t seed = check_seed();
    for (int round = 0; round < 3000; round++) {
        const struct message_vector *v = &vectors[check_random(&seed) % VECTORS];
        uint8_t bytes[512];
        size_t count = v->count < sizeof(bytes) ? v->count : sizeof(bytes);
        memcpy(bytes, v->bytes, count);
        for (uint64_t flips = 1 + check_random(&seed) % 3; flips > 0; flips--)
            bytes[check_random(&seed) % count] = (uint8_t)check_random(&seed);
        reading_run(&one, v->table, bytes, count, count, reading_cut_whole, NULL);
        reading_run(&other, v->table, bytes, count, count, reading_cut_random, &seed);
        CHECK_EQ(one.failed, other.failed);
        CHECK_EQ(scan_complete(&one.scan), scan_complete(&other.scan));
        CHECK(one.failed || scan_complete(&one.scan));
        if (one.failed)
            CHECK_STR(one.scan.error, other.scan.error);
        else
            check_same(&one, &other);
        reading_fini(&one);
        reading_fini(&other);
    }
}
