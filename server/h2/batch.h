/* Output on its way: the iovecs of one write. Frame headers and control frames
 * are copied into the staging buffer, because nghttp2 reuses its own with the
 * next frame; slices are pointed to. */
#ifndef H2_BATCH_H
#define H2_BATCH_H

#include "h2/session.h"

enum {
    FRAME_HEADER_BYTES = 9,
    /* About a hundred small responses' worth of frame headers. A longer frame
     * is pointed to and ends its batch. */
    STAGING_BYTES = 8192,
    /* Enough that the system call is noise, little enough that one turn of the
     * loop stays below a millisecond. */
    BATCH_BYTES_MAX = 1 << 20,
    /* What one DATA frame needs at least: its header, a slice, and one to spare
     * for a frame that is pointed to. */
    BATCH_IOVECS_SPARE = 3,
};

enum batch_state { BATCH_NONE, BATCH_FILLING, BATCH_OUT };

struct batch {
    enum batch_state state;
    uint64_t serial;   /* streams note it: "I have bytes in there" */
    struct iovec *iov; /* the caller's, while filling */
    size_t used, room; /* of iov */
    size_t bytes;
    struct list lent; /* slices whose last byte is in the batch */
    size_t staged;
    uint8_t staging[STAGING_BYTES];
};

void batch_init(struct batch *batch);
void batch_open(struct batch *batch, struct iovec *iov, size_t room);
bool batch_full(const struct batch *batch);

/* Copies; false, with nothing done, when the staging buffer is too small. */
bool batch_copy(struct batch *batch, const uint8_t *bytes, size_t count);

/* `bytes` must stay until the batch is over. */
void batch_point(struct batch *batch, const void *bytes, size_t count);

/* Takes up to `count` bytes off the head of `queue`. */
void batch_take(struct batch *batch, struct list *queue, size_t count);

/* How many bytes of `queue`, at most `bytes_max`, the free iovecs can hold. */
size_t batch_fits(const struct batch *batch, const struct list *queue, size_t bytes_max);

/* Releases every slice that left whole. */
void batch_close(struct batch *batch);

#endif
