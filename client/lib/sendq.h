/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes that wait to be written to one socket. Short slices are copied, long ones
 * borrowed; one sendmsg(2) sends them together. The queue is bounded: when it is full
 * its owner adds nothing until it is empty again. */
#ifndef LIB_SENDQ_H
#define LIB_SENDQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
    SENDQ_SLICES_MAX = 128,
    SENDQ_STAGE_BYTES = 64 * 1024, /* copied bytes */
    SENDQ_STAGE_RESERVE =
        32 * 1024, /* for a control frame, or the short slices of one frame */
    SENDQ_BYTES_MAX = 512 << 10, /* one more slice may exceed it */
};

struct sendq {
    struct iovec slices[SENDQ_SLICES_MAX];
    size_t count, at; /* slices[at] up to slices[count - 1] are not sent yet */
    size_t staged;
    size_t bytes; /* not sent yet */
    uint8_t stage[SENDQ_STAGE_BYTES];
};

void sendq_init(struct sendq *queue);
bool sendq_empty(const struct sendq *queue);
/* True when one more frame fits: its head and up to 16 slices. */
bool sendq_has_room(const struct sendq *queue);

/* Copies. False: it does not fit. */
bool sendq_copy(struct sendq *queue, const void *bytes, size_t count);
/* Borrows the slice until it is sent; copies a short one. False: it does not fit. */
bool sendq_borrow(struct sendq *queue, struct iovec slice);

/* The slices that are not sent yet; and takes bytes off their front. */
const struct iovec *sendq_slices(const struct sendq *queue, size_t *count);
void sendq_advance(struct sendq *queue, size_t sent);

enum sendq_result { SENDQ_EMPTIED, SENDQ_BLOCKED, SENDQ_FAILED /* errno */ };
enum sendq_result sendq_flush(struct sendq *queue, int fd);

#endif
