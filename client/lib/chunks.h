/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts a tensor into TensorChunk messages. Through the socket, each has its checksum, and its
 * data is borrowed from the caller's memory, or read by the caller's function into a few
 * buffers, which are used in turn. In shared memory, it is copied or read into a slot. */
#ifndef LIB_CHUNKS_H
#define LIB_CHUNKS_H

#include <stdbool.h>

#include <trit.h>

#include "client/lib/exchange.h"
#include "client/lib/slots.h"

/* A chunk with its envelope fits in one DATA frame, and a chunk is a whole number of pages.
 * It is read, summed and sent while it is in the processor's second cache. */
enum { UPLOAD_CHUNK_BYTES = (256 << 10) - 4096, CHUNK_HEAD_BYTES_MAX = 96 };

/* Where the bytes of a tensor that `read` gives lie in memory, from `offset` on, until the call
 * ends. *together: how many there are in one piece. NULL: they have to be read. */
typedef const uint8_t *(*chunks_find)(void *arg, uint64_t offset, uint64_t *together);

struct chunks {
    const uint8_t *bytes; /* NULL: `read` gives them */
    trit_read read;
    void *read_arg;       /* of `find` too */
    chunks_find find;     /* to borrow instead; or NULL. Set after chunks_init */
    uint8_t *buffers;     /* allocated when the first chunk is read */
    uint64_t number;      /* of chunks that were read */
    uint64_t size;        /* of the tensor's bytes */
    uint64_t total, sent; /* total: size, or twice that */
    bool reference;       /* these are VerifyStream's reference chunks */
    struct slots *slots;  /* shared memory, if it has a ring; NULL: none */
    uint8_t head[CHUNK_HEAD_BYTES_MAX];
};

/* The chunks of `total` bytes of the tensor's data, from byte `from` on; a tensor that is
 * read by a function is sent as a whole. */
void chunks_init(struct chunks *chunks, const struct trit_tensor *tensor, uint64_t from,
                 uint64_t total, bool reference, struct slots *slots);
/* Has the bytes sent twice, one after the other: for encodings with one scale. */
void chunks_repeat(struct chunks *chunks);
/* After the call has ended; harmless on zeroed chunks. */
void chunks_fini(struct chunks *chunks);
bool chunks_done(const struct chunks *chunks);
/* EXCHANGE_PAUSED: all slots are in use. -1: the caller's function failed (ABORTED), or out of
 * memory (RESOURCE_EXHAUSTED). */
int chunks_next(struct chunks *chunks, struct outgoing *message, struct failure *failure);

/* True when a smaller share of a has been sent than of b. */
bool chunks_behind(const struct chunks *a, const struct chunks *b);

#endif
