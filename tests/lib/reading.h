/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds a message to the scanner in pieces and keeps what comes out. */
#ifndef TESTS_LIB_READING_H
#define TESTS_LIB_READING_H

#include "proto/codec/codec.h"
#include "proto/scan.h"

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

size_t reading_cut_whole(void *arg, size_t rest);
size_t reading_cut_byte(void *arg, size_t rest);
size_t reading_cut_random(void *arg, size_t rest);

/* Feeds one piece. Pass a copy that is freed afterwards: the sanitizer then finds a
 * scanner that keeps a borrowed pointer. */
void reading_feed(struct reading *reading, const uint8_t *bytes, size_t count);

/* Reads `count` bytes of a message that says it has `message_bytes`. */
void reading_run(struct reading *reading, const struct scan_field *table,
                 const uint8_t *bytes, size_t count, uint64_t message_bytes,
                 reading_cut *cut, void *arg);

void reading_fini(struct reading *reading);

/* A whole, well-formed message. */
void reading_message(struct reading *reading, const struct scan_field *table,
                     const uint8_t *bytes, size_t count);

#endif
