/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/reading.h"

#include <string.h>

#include "tests/lib/check.h"

size_t reading_cut_whole(void *arg, size_t rest)
{
    (void)arg;
    return rest;
}

size_t reading_cut_byte(void *arg, size_t rest)
{
    (void)arg, (void)rest;
    return 1;
}

size_t reading_cut_random(void *arg, size_t rest)
{
    return check_random(arg) % (rest < 40 ? rest + 1 : 40);
}

static void reading_event(struct reading *reading, enum scan_event event,
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

void reading_feed(struct reading *reading, const uint8_t *bytes, size_t count)
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

void reading_run(struct reading *reading, const struct scan_field *table,
                 const uint8_t *bytes, size_t count, uint64_t message_bytes,
                 reading_cut *cut, void *arg)
{
    memset(reading, 0, sizeof(*reading));
    scan_init(&reading->scan, table, message_bytes);
    reading_feed(reading, bytes, 0);
    for (size_t at = 0; at < count && !reading->failed;) {
        size_t piece = cut(arg, count - at);
        reading_feed(reading, bytes + at, piece);
        at += piece;
    }
}

void reading_fini(struct reading *reading)
{
    scan_fini(&reading->scan);
}

void reading_message(struct reading *reading, const struct scan_field *table,
                     const uint8_t *bytes, size_t count)
{
    reading_run(reading, table, bytes, count, count, reading_cut_whole, NULL);
    CHECK(!reading->failed);
    CHECK(scan_complete(&reading->scan));
}
