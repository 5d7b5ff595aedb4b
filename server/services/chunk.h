/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the chunks of a streamed tensor, for every method that takes them. */
#ifndef SERVICES_CHUNK_H
#define SERVICES_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/codec/codec.h"
#include "services/shared.h"

/* The chunk that is arriving. Zeroed: none has arrived. */
struct chunk_reader {
    struct wire_chunk chunk;
    const char *field;  /* the field of its target */
    size_t small_bytes; /* what small_bytes() gave when its data began */
    uint32_t crc;       /* CRC of its data so far */
    bool seen;          /* this message has a chunk; the method clears it at its end */
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

/* Call it at the end of a message that had data. -1: INVALID_ARGUMENT, a field came after
 * the data. */
int chunk_check_order(const struct chunk_reader *reader, struct call *call);

#endif
