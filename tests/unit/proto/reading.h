/* SPDX-License-Identifier: Apache-2.0 */
/* A message read by the scanner, however its bytes are cut. */
#ifndef TESTS_PROTO_READING_H
#define TESTS_PROTO_READING_H

#include <string.h>

#include "proto/codec/codec.h"
#include "proto/scan.h"
#include "tests/lib/check.h"

enum { READING_BYTES_MAX = 65536, READING_BLOBS = 3 };

struct reading_blob {
    uint32_t begun, ended;
    uint64_t announced;
    size_t count;
    uint8_t bytes[READING_BYTES_MAX];
};

struct reading {
    struct scan scan;
    bool failed;
    struct reading_blob blobs[READING_BLOBS]; /* by id, from BLOB_DATA */
};

/* How many bytes of the rest to hand over next. */
typedef size_t reading_cut(void *arg, size_t rest);

static inline size_t cut_whole(void *arg, size_t rest)
{
    (void)arg;
    return rest;
}

static inline size_t cut_byte(void *arg, size_t rest)
{
    (void)arg, (void)rest;
    return 1;
}

static inline size_t cut_random(void *arg, size_t rest)
{
    return check_random(arg) % (rest < 40 ? rest + 1 : 40);
}

static inline void reading_event(struct reading *reading, enum scan_event event,
                                 const struct scanned *found)
{
    CHECK(found->blob >= BLOB_DATA && found->blob < BLOB_DATA + READING_BLOBS);
    struct reading_blob *blob = &reading->blobs[found->blob - BLOB_DATA];
    switch (event) {
    case SCAN_BLOB:
        CHECK_EQ(blob->begun, blob->ended);
        blob->begun++;
        blob->announced = found->length;
        blob->count = 0;
        break;
    case SCAN_BLOB_BYTES:
        CHECK(found->count > 0 && blob->count + found->count <= blob->announced);
        CHECK(blob->announced <= READING_BYTES_MAX);
        memcpy(blob->bytes + blob->count, found->bytes, found->count);
        blob->count += found->count;
        break;
    case SCAN_BLOB_END:
        CHECK_EQ(blob->count, blob->announced);
        blob->ended++;
        break;
    case SCAN_MORE:
    case SCAN_ERROR:
        break;
    }
}

/* Hands over a piece that lives only as long as the call, so that the sanitizer
 * sees a scanner that keeps a borrowed pointer. */
static inline void reading_feed(struct reading *reading, const uint8_t *bytes,
                                size_t count)
{
    for (;;) {
        struct scanned found = {0};
        enum scan_event event = scan(&reading->scan, &bytes, &count, &found);
        if (event == SCAN_ERROR)
            reading->failed = true;
        if (event == SCAN_ERROR || event == SCAN_MORE)
            break;
        reading_event(reading, event, &found);
    }
    CHECK(reading->failed || count == 0);
}

/* Reads `count` bytes of a message that says it has `message_bytes`. */
static inline void reading_run(struct reading *reading, const struct scan_field *table,
                               const uint8_t *bytes, size_t count, uint64_t message_bytes,
                               reading_cut *cut, void *arg)
{
    memset(reading, 0, sizeof *reading);
    scan_init(&reading->scan, table, message_bytes);
    reading_feed(reading, bytes, 0);
    for (size_t at = 0; at < count && !reading->failed;) {
        size_t piece = cut(arg, count - at);
        reading_feed(reading, bytes + at, piece);
        at += piece;
    }
}

static inline void reading_fini(struct reading *reading)
{
    scan_fini(&reading->scan);
}

/* A whole, well-formed message. */
static inline void reading_message(struct reading *reading,
                                   const struct scan_field *table, const uint8_t *bytes,
                                   size_t count)
{
    reading_run(reading, table, bytes, count, count, cut_whole, NULL);
    CHECK(!reading->failed);
    CHECK(scan_complete(&reading->scan));
}

#endif
