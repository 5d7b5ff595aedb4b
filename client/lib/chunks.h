/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts a tensor into TensorChunk messages, each with its checksum. Their data is
 * borrowed from the caller's memory. */
#ifndef LIB_CHUNKS_H
#define LIB_CHUNKS_H

#include <stdbool.h>

#include "client/lib/exchange.h"

/* A chunk with its envelope is a little less than a MiB, so that it fills whole DATA
 * frames without a short one at the end; a chunk is a whole number of pages. */
enum { UPLOAD_CHUNK_BYTES = (1 << 20) - 4096, CHUNK_HEAD_BYTES_MAX = 64 };

struct chunks {
    const uint8_t *bytes;
    uint64_t total, sent;
    bool reference; /* they are VerifyStream's reference chunks */
    uint8_t head[CHUNK_HEAD_BYTES_MAX];
};

void chunks_init(struct chunks *chunks, const void *bytes, uint64_t total,
                 bool reference);
bool chunks_done(const struct chunks *chunks);
void chunks_next(struct chunks *chunks, struct outgoing *message);

/* True when a smaller share of a has been sent than of b. */
bool chunks_behind(const struct chunks *a, const struct chunks *b);

#endif
