/* SPDX-License-Identifier: Apache-2.0 */
/* The scanner never reads past its message, keeps its bounds and gives the same
 * parts, blobs and verdict however the bytes are cut.
 *
 * Input: the table, how to cut, then the message. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/codec/codec.h"
#include "proto/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct scan_field *const tables[] = {
    scan_project,        scan_verify,        scan_unpack,         scan_backward,
    scan_project_stream, scan_verify_stream, scan_plain,          scan_projected,
    scan_stream_reply,   scan_tensor_reply,  scan_backward_reply, scan_pack,
    scan_pack_stream};

/* A scan and its blobs, folded into a number. */
struct outcome {
    struct scan scan;
    bool failed;
    uint64_t hash;
    uint64_t blob_left;
    bool in_blob;
};

static void fold(struct outcome *outcome, uint64_t value)
{
    outcome->hash = (outcome->hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    outcome->hash ^= outcome->hash >> 29;
}

static void take(struct outcome *outcome, enum scan_event event,
                 const struct scanned *found)
{
    switch (event) {
    case SCAN_BLOB:
        assert(!outcome->in_blob);
        outcome->in_blob = true;
        outcome->blob_left = found->length;
        fold(outcome, found->blob * 1000 + found->length);
        break;
    case SCAN_BLOB_BYTES:
        assert(outcome->in_blob && found->count > 0);
        assert(found->count <= outcome->blob_left);
        outcome->blob_left -= found->count;
        for (size_t i = 0; i < found->count; i++)
            fold(outcome, found->bytes[i]);
        break;
    case SCAN_BLOB_END:
        assert(outcome->in_blob && outcome->blob_left == 0);
        outcome->in_blob = false;
        fold(outcome, 1001);
        break;
    case SCAN_MORE:
    case SCAN_ERROR:
        break;
    }
}

static void feed(struct outcome *outcome, const uint8_t *bytes, size_t count)
{
    for (;;) {
        struct scanned found = {0};
        enum scan_event event = scan(&outcome->scan, &bytes, &count, &found);
        outcome->failed = event == SCAN_ERROR;
        if (event == SCAN_ERROR || event == SCAN_MORE)
            break;
        take(outcome, event, &found);
    }
    assert(outcome->failed ? outcome->scan.error != NULL : count == 0);
}

static void run(struct outcome *outcome, const struct scan_field *table,
                const uint8_t *data, size_t size, uint64_t message_bytes, size_t piece)
{
    memset(outcome, 0, sizeof(*outcome));
    scan_init(&outcome->scan, table, message_bytes);
    feed(outcome, data, 0);
    for (size_t at = 0, next = 1; at < size && !outcome->failed; at += next) {
        next = piece == 0 ? size : 1 + at * 5 % piece;
        if (next > size - at)
            next = size - at;
        feed(outcome, data + at, next);
    }
    for (size_t i = 0; i < SCAN_PARTS_MAX; i++) {
        const struct scan_part *part = &outcome->scan.parts[i];
        assert(part->count <= SCAN_PART_BYTES_MAX && part->count <= size);
        fold(outcome, part->seen * 100000 + part->count);
        for (size_t j = 0; j < part->count && !outcome->failed; j++)
            fold(outcome, part->bytes[j]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct scan_field *table = tables[data[0] % (sizeof(tables) / sizeof(*tables))];
    size_t piece = 1 + data[1] % 16;
    uint64_t message_bytes = size - 2;
    if (data[1] >= 240) /* more is announced than comes */
        message_bytes += UINT64_C(1) << (data[1] - 230);
    struct outcome whole, cut;
    run(&whole, table, data + 2, size - 2, message_bytes, 0);
    run(&cut, table, data + 2, size - 2, message_bytes, piece);
    assert(whole.failed == cut.failed);
    assert(scan_complete(&whole.scan) == scan_complete(&cut.scan));
    if (whole.failed)
        assert(strcmp(whole.scan.error, cut.scan.error) == 0);
    else
        assert(whole.hash == cut.hash);
    if (message_bytes == size - 2)
        assert(whole.failed != scan_complete(&whole.scan));
    else
        assert(!scan_complete(&whole.scan));
    scan_fini(&whole.scan);
    scan_fini(&cut.scan);
    return 0;
}

#include "replay.h"
