/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/reply.h"

#include <inttypes.h>

#include "kernels/kernels.h"

void reply_init(struct reply *reply, const struct scan_field *table,
                uint64_t message_bytes_max, struct sink *data, struct sink *scales)
{
    *reply = (struct reply){.table = table,
                            .message_bytes_max = message_bytes_max,
                            .data.sink = data,
                            .scales.sink = scales};
}

void reply_fini(struct reply *reply)
{
    if (reply->open)
        scan_fini(&reply->scan);
    reply->open = false;
}

static void piece_rewind(struct piece *piece)
{
    if (piece->sink)
        sink_rewind(piece->sink);
}

void reply_rewind(struct reply *reply)
{
    reply_fini(reply);
    reply->messages = 0;
    piece_rewind(&reply->data);
    piece_rewind(&reply->scales);
    piece_rewind(&reply->reference);
}

static void piece_begin(struct piece *piece)
{
    piece->start = piece->sink ? piece->sink->filled : 0;
    piece->crc32c = 0;
}

int reply_message(struct reply *reply, uint32_t length, struct failure *failure)
{
    if (length > reply->message_bytes_max)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "a reply message of %u bytes is above message_bytes_max %" PRIu64,
                    length, reply->message_bytes_max);
    reply_fini(reply);
    reply->messages++;
    piece_begin(&reply->data);
    piece_begin(&reply->scales);
    piece_begin(&reply->reference);
    scan_init(&reply->scan, reply->table, length);
    reply->open = true;
    return 0;
}

/* NULL: the reply must not have this blob. */
static struct piece *piece_of(struct reply *reply, uint32_t blob)
{
    struct piece *piece = blob == BLOB_DATA        ? &reply->data
                          : blob == BLOB_SCALES    ? &reply->scales
                          : blob == BLOB_REFERENCE ? &reply->reference
                                                   : NULL;

    return piece && piece->sink ? piece : NULL;
}

static int begin_blob(struct reply *reply, const struct scanned *found,
                      struct failure *failure)
{
    struct piece *piece = piece_of(reply, found->blob);

    return piece ? sink_begin(piece->sink, found->length, failure) : 0;
}

static int take_blob_bytes(struct reply *reply, const struct scanned *found,
                           struct failure *failure)
{
    struct piece *piece = piece_of(reply, found->blob);

    if (found->count == 0)
        return 0;
    if (!piece)
        return fail(failure, TRIT_INTERNAL, NULL,
                    "the reply holds bytes that the request did not ask for");
    if (reply->checksums)
        piece->crc32c = crc32c(piece->crc32c, found->bytes, found->count);
    return sink_write(piece->sink, found->bytes, found->count, failure);
}

static int malformed(const char *why, struct failure *failure)
{
    return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
}

int reply_bytes(struct reply *reply, const uint8_t *bytes, size_t count,
                struct failure *failure)
{
    struct scanned found;

    for (;;) {
        switch (scan(&reply->scan, &bytes, &count, &found)) {
        case SCAN_MORE:
            return 0;
        case SCAN_BLOB:
            if (begin_blob(reply, &found, failure) < 0)
                return -1;
            break;
        case SCAN_BLOB_END:
            break;
        case SCAN_BLOB_BYTES:
            if (take_blob_bytes(reply, &found, failure) < 0)
                return -1;
            break;
        case SCAN_ERROR:
            return malformed(reply->scan.error, failure);
        }
    }
}

int reply_end(struct reply *reply, struct failure *failure)
{
    return scan_complete(&reply->scan) ? 0 : malformed("a field is truncated", failure);
}
