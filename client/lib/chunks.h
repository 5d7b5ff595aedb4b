/* A tensor on its way up a stream: the next TensorChunk, and the next, each with
 * its checksum, its data lent from the caller's memory. */
#ifndef LIB_CHUNKS_H
#define LIB_CHUNKS_H

#include <stdbool.h>

#include "client/lib/exchange.h"

/* A chunk and its envelope make up a little less than a mebibyte, so that it
 * goes in whole DATA frames with no crumb behind; pages stay whole. */
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

/* Sent bytes of a and b in proportion to their totals: which is behind? */
bool chunks_behind(const struct chunks *a, const struct chunks *b);

#endif
