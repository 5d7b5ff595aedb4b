/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/sendq.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "client/lib/exchange.h"

enum { FRAME_SLICES_MAX = 16 };

void sendq_init(struct sendq *queue)
{
    queue->count = queue->at = queue->staged = queue->bytes = 0;
}

bool sendq_empty(const struct sendq *queue)
{
    return queue->bytes == 0;
}

bool sendq_has_room(const struct sendq *queue)
{
    return queue->count + FRAME_SLICES_MAX <= SENDQ_SLICES_MAX &&
           queue->staged + SENDQ_STAGE_RESERVE <= SENDQ_STAGE_BYTES &&
           queue->bytes < SENDQ_BYTES_MAX;
}

static bool append(struct sendq *queue, struct iovec slice)
{
    struct iovec *last =
        queue->count > queue->at ? &queue->slices[queue->count - 1] : NULL;

    if (last && (uint8_t *)last->iov_base + last->iov_len == slice.iov_base) {
        last->iov_len += slice.iov_len; /* both lie side by side in memory */
    } else {
        if (queue->count == SENDQ_SLICES_MAX)
            return false;
        queue->slices[queue->count++] = slice;
    }
    queue->bytes += slice.iov_len;
    return true;
}

bool sendq_copy(struct sendq *queue, const void *bytes, size_t count)
{
    uint8_t *to = queue->stage + queue->staged;

    if (count > sizeof(queue->stage) - queue->staged ||
        !append(queue, (struct iovec){to, count}))
        return false;
    memcpy(to, bytes, count);
    queue->staged += count;
    return true;
}

bool sendq_borrow(struct sendq *queue, struct iovec slice)
{
    if (slice.iov_len < EXCHANGE_COPY_BYTES_MAX)
        return sendq_copy(queue, slice.iov_base, slice.iov_len);
    return append(queue, slice);
}

const struct iovec *sendq_slices(const struct sendq *queue, size_t *count)
{
    *count = queue->count - queue->at;
    return queue->slices + queue->at;
}

void sendq_advance(struct sendq *queue, size_t sent)
{
    queue->bytes -= sent;
    while (sent > 0) {
        struct iovec *slice = &queue->slices[queue->at];
        size_t step = sent < slice->iov_len ? sent : slice->iov_len;

        slice->iov_base = (uint8_t *)slice->iov_base + step;
        slice->iov_len -= step;
        sent -= step;
        if (slice->iov_len == 0)
            queue->at++;
    }
    if (queue->bytes == 0)
        sendq_init(queue);
}

enum sendq_result sendq_flush(struct sendq *queue, int fd)
{
    while (queue->bytes > 0) {
        struct msghdr message = {.msg_iov = queue->slices + queue->at,
                                 .msg_iovlen = queue->count - queue->at};
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent >= 0)
            sendq_advance(queue, (size_t)sent);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return SENDQ_BLOCKED;
        else if (errno != EINTR)
            return SENDQ_FAILED;
    }
    return SENDQ_EMPTIED;
}
