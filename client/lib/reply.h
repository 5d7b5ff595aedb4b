/* SPDX-License-Identifier: Apache-2.0 */
/* Reads reply messages while they arrive: tensor bytes go to their sinks, small
 * fields stay in the scan for the codec. */
#ifndef LIB_REPLY_H
#define LIB_REPLY_H

#include "client/lib/output.h"
#include "proto/codec/codec.h"
#include "proto/scan.h"

/* One blob of the current message: where its bytes go, and their checksum. */
struct piece {
    struct sink *sink; /* NULL: the reply must not have this blob */
    uint64_t start;    /* sink->filled when the message began */
    uint32_t crc32c;   /* of this message's bytes */
};

struct reply {
    const struct scan_field *table;
    uint64_t message_bytes_max;
    struct piece data, scales; /* BLOB_DATA, BLOB_SCALES */
    struct piece reference;    /* BLOB_REFERENCE; set its sink after reply_init */
    bool checksums;            /* crc32c is updated with every byte */
    uint32_t messages;         /* that have begun */
    bool open;                 /* `scan` holds the current message */
    struct scan scan;
};

/* Borrows the sinks; NULL: the reply must not have this blob. */
void reply_init(struct reply *reply, const struct scan_field *table,
                uint64_t message_bytes_max, struct sink *data, struct sink *scales);
void reply_fini(struct reply *reply);
/* Starts again before the first message, with empty sinks. */
void reply_rewind(struct reply *reply);

int reply_message(struct reply *reply, uint32_t length, struct failure *failure);
int reply_bytes(struct reply *reply, const uint8_t *bytes, size_t count,
                struct failure *failure);
/* Checks that the message is complete. Its parts can then be decoded. */
int reply_end(struct reply *reply, struct failure *failure);

#endif
