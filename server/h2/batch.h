/* SPDX-License-Identifier: Apache-2.0 */
/* A batch: the iovecs of one write. Frame headers and control frames are copied
 * into the staging buffer, because nghttp2 reuses its own buffer for the next
 * frame. So are small slices. An iovec points to a larger one directly. */
#ifndef H2_BATCH_H
#define H2_BATCH_H

#include "h2/session.h"

enum {
    FRAME_HEADER_BYTES = 9,
    /* The frame headers of about a hundred small responses. A control frame that
     * does not fit is pointed to and ends its batch. */
    STAGING_BYTES = 8192,
    /* A slice up to this is copied too while a quarter of the buffer is left: one longer
     * iovec costs the kernel less than several. */
    COPIED_SLICE_BYTES_MAX = 256,
    /* Large enough that the cost of the system call does not matter, small enough
     * that one turn of the loop takes less than a millisecond. */
    BATCH_BYTES_MAX = 1 << 20,
    /* What a DATA frame needs at least: its header, one slice, and one iovec for
     * a control frame that is pointed to. */
    BATCH_IOVECS_SPARE = 3,
};

enum batch_state { BATCH_NONE, BATCH_FILLING, BATCH_OUT };

struct batch {
    enum batch_state state;
    uint64_t serial;       /* a stream notes the serial of the batch that has its bytes */
    struct iovec *iov;     /* the caller's, in state FILLING */
    size_t used, capacity; /* of iov */
    size_t bytes;
    struct list lent; /* slices whose last byte is in the batch */
    size_t staged;
    uint8_t staging[STAGING_BYTES];
};

void batch_init(struct batch *batch);
void batch_open(struct batch *batch, struct iovec *iov, size_t capacity);
bool batch_full(const struct batch *batch);

/* Copies. False: the staging buffer is too small, and nothing was copied. */
bool batch_copy(struct batch *batch, const uint8_t *bytes, size_t count);

/* `bytes` must stay valid until batch_close. */
void batch_point(struct batch *batch, const void *bytes, size_t count);

/* Takes up to `count` bytes from the head of `queue`. */
void batch_take(struct batch *batch, struct list *queue, size_t count);

/* How many bytes of `queue` the free iovecs can hold; at most `bytes_max`. */
size_t batch_fits(const struct batch *batch, const struct list *queue, size_t bytes_max);

/* Releases every slice whose last byte was in the batch. */
void batch_close(struct batch *batch);

#endif
