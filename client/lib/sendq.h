/* What waits to be written to one socket: small bytes copied, large ones
 * borrowed, sent together by one sendmsg(2). Bounded; filled in rounds: when
 * the queue is full its owner stops producing until it is empty again. */
#ifndef LIB_SENDQ_H
#define LIB_SENDQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
    SENDQ_SLICES_MAX = 128,
    SENDQ_STAGE_BYTES = 64 * 1024,   /* copied bytes */
    SENDQ_STAGE_RESERVE = 32 * 1024, /* a control frame, or one frame's small slices */
    SENDQ_BYTES_MAX = 2 << 20,       /* soft: one more slice may exceed it */
};

struct sendq {
    struct iovec slices[SENDQ_SLICES_MAX];
    size_t count, at; /* slices[at, count) are to be sent */
    size_t staged;
    size_t bytes; /* still to be sent */
    uint8_t stage[SENDQ_STAGE_BYTES];
};

void sendq_init(struct sendq *queue);
bool sendq_empty(const struct sendq *queue);
/* True while one more frame (head, up to 16 slices) is welcome. */
bool sendq_has_room(const struct sendq *queue);

/* Copies; false where there is no room. */
bool sendq_copy(struct sendq *queue, const void *bytes, size_t count);
/* Borrows until sent; copies what is small and fits. */
bool sendq_borrow(struct sendq *queue, struct iovec slice);

enum sendq_result { SENDQ_EMPTIED, SENDQ_BLOCKED, SENDQ_FAILED /* errno */ };
enum sendq_result sendq_flush(struct sendq *queue, int fd);

#endif
