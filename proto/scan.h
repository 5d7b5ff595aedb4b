/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a protobuf message while it arrives. Small fields are collected for
 * the codec. The few large `bytes` fields that a table names are passed to the
 * caller as they arrive, so that work can start before the message ends and no
 * tensor byte is copied here. The fields may come in any order; the caller gets
 * the events in the order of arrival.
 *
 *   static const struct scan_field tensor[] = { { 15, BLOB_TENSOR, NULL }, {0} };
 *   static const struct scan_field root[] = { { 3, PART_TENSOR, tensor }, {0} };
 *
 * An entry with `sub` is a message to descend into; its small fields go to the
 * *part* `id`. An entry without `sub` is a *blob*, a large field, of number `id`.
 * A field that is not in the table goes to the part of its message unchanged,
 * known or not. Groups (wire types 3 and 4) are refused. SCAN_DEPTH_MAX bounds
 * the nesting. The code does not recurse. */
#ifndef PROTO_SCAN_H
#define PROTO_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trit/types.h"

enum {
    SCAN_DEPTH_MAX = 4,
    SCAN_PARTS_MAX = 6,
    SCAN_PART_BYTES_MAX = 16384,
    SCAN_FIRST_PARTS = 2,  /* parts that begin in memory of the scan: */
    SCAN_FIRST_BYTES = 56, /* so many bytes of each, enough for most small requests */
};

struct scan_field {
    uint32_t number; /* 0 ends the table */
    uint32_t id;     /* chosen by the caller: a part (1..SCAN_PARTS_MAX-1) or a blob */
    const struct scan_field *sub;
};

/* The small fields of one message, encoded as they came. The codec decodes them. The
 * scan owns the bytes. */
struct scan_part {
    uint8_t *bytes; /* grown as bytes arrive, up to SCAN_PART_BYTES_MAX */
    size_t count;
    size_t capacity; /* up to SCAN_FIRST_BYTES they are in scan.first */
    uint32_t seen;   /* how often the message occurred */
};

struct scan_level {
    const struct scan_field *fields;
    uint64_t
        left; /* bytes of this message still to come, without those of an open field */
    uint32_t part;
};

struct scan {                               /* must not be copied while it has bytes */
    struct scan_part parts[SCAN_PARTS_MAX]; /* [0]: the root's small fields */
    struct scan_level levels[SCAN_DEPTH_MAX];
    uint32_t depth;
    bool unsized;   /* the length of the whole message is not known */
    uint32_t state; /* enum scan_state, private */
    uint8_t varint[10];
    uint32_t varint_len;
    uint64_t tag, value_left;
    uint32_t blob;
    uint32_t first_used;
    uint8_t first[SCAN_FIRST_PARTS][SCAN_FIRST_BYTES];
    const char *error;       /* the reason for SCAN_ERROR, a literal */
    enum trit_status status; /* of that error: INVALID_ARGUMENT or RESOURCE_EXHAUSTED */
};

enum scan_event {
    SCAN_MORE,       /* all input consumed */
    SCAN_BLOB,       /* a blob begins: `blob`, `length` */
    SCAN_BLOB_BYTES, /* `bytes`/`count` of it (borrowed) */
    SCAN_BLOB_END,   /* it is complete */
    SCAN_ERROR,      /* malformed, too deep, or a part too large */
};

struct scanned {
    uint32_t blob;
    uint64_t length;
    const uint8_t *bytes;
    size_t count;
};

/* `message_bytes` is the length of the gRPC message. It bounds every inner length. A
 * message whose length is known only at its end (it is compressed) has SCAN_UNSIZED. */
#define SCAN_UNSIZED UINT64_MAX
void scan_init(struct scan *scan, const struct scan_field *root, uint64_t message_bytes);
void scan_fini(struct scan *scan); /* frees the parts */

/* Bytes of memory that the parts take beside the scan. */
size_t scan_held(const struct scan *scan);

/* Consumes bytes, advances *bytes and *count, and returns what it found. Call it until
 * it returns SCAN_MORE or SCAN_ERROR. */
enum scan_event scan(struct scan *scan, const uint8_t **bytes, size_t *count,
                     struct scanned *out);

/* True when the whole message was read and no field is open. */
bool scan_complete(const struct scan *scan);

#endif
