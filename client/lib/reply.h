/* Reads reply messages while they arrive: tensor bytes go to their sinks, small
 * fields stay in the scan for the codec. */
#ifndef LIB_REPLY_H
#define LIB_REPLY_H

#include "client/lib/output.h"
#include "proto/codec/codec.h"
#include "proto/scan.h"

/* One blob of the current message: what came of it, and where it was put. */
struct piece {
    struct sink *sink; /* NULL: the reply may not hold such bytes */
    uint64_t start;    /* sink->filled when the message began */
    uint32_t crc32c;   /* of this message's bytes */
};

struct reply {
    const struct scan_field *table;
    uint64_t message_bytes_max;
    struct piece data, scales; /* BLOB_DATA, BLOB_SCALES */
    struct piece reference;    /* BLOB_REFERENCE; set its sink after reply_init */
    bool checksums;            /* crc32c is kept up to date */
    uint32_t messages;         /* begun so far */
    bool open;                 /* `scan` holds the current message */
    struct scan scan;
};

/* The sinks are borrowed; NULL = none. */
void reply_init(struct reply *reply, const struct scan_field *table,
                uint64_t message_bytes_max, struct sink *data, struct sink *scales);
void reply_fini(struct reply *reply);
/* As before the first message; the sinks empty. */
void reply_rewind(struct reply *reply);

int reply_message(struct reply *reply, uint32_t length, struct failure *failure);
int reply_bytes(struct reply *reply, const uint8_t *bytes, size_t count,
                struct failure *failure);
/* The message is complete and well-formed; its parts may be decoded. */
int reply_end(struct reply *reply, struct failure *failure);

#endif
