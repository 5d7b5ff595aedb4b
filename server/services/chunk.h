/* SPDX-License-Identifier: Apache-2.0 */
/* The chunks of a streamed tensor: what every method that takes them checks. */
#ifndef SERVICES_CHUNK_H
#define SERVICES_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/codec/codec.h"
#include "services/shared.h"

/* The chunk that arrives. Zeroed: none has arrived. */
struct chunk_reader {
    struct wire_chunk chunk;
    const char *field;  /* of its target */
    size_t small_bytes; /* when its data began */
    uint32_t crc;       /* of its data so far */
    bool seen;          /* in this message; the method clears it at the message's end */
};

/* The tensor that a chunk belongs to. */
struct chunk_target {
    const char *field; /* "chunk" */
    const struct scan_part *part;
    uint64_t received, expected; /* bytes */
};

/* Data of `length` bytes begins: the chunk must be the first of its message, continue
 * where the last one ended, and stay within CHUNK_BYTES_MAX and the tensor.
 * -1: INVALID_ARGUMENT. */
int chunk_begin(struct chunk_reader *reader, struct call *call,
                const struct chunk_target *target, uint64_t length);

void chunk_bytes(struct chunk_reader *reader, const uint8_t *bytes, size_t count);

/* -1: DATA_LOSS, the data does not have the CRC that came with it. */
int chunk_end(struct chunk_reader *reader, struct call *call);

/* At the end of a message whose data came. -1: INVALID_ARGUMENT, a field came after the
 * data. */
int chunk_check_order(const struct chunk_reader *reader, struct call *call);

#endif
