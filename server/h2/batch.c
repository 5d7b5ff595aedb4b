/* SPDX-License-Identifier: Apache-2.0 */
#include "h2/batch.h"

#include <assert.h>
#include <string.h>

#include "base/number.h"

void batch_init(struct batch *batch)
{
    batch->state = BATCH_NONE;
    batch->serial = 0;
    list_init(&batch->lent);
}

void batch_open(struct batch *batch, struct iovec *iov, size_t capacity)
{
    assert(batch->state == BATCH_NONE && capacity >= BATCH_IOVECS_SPARE);
    batch->state = BATCH_FILLING;
    batch->serial++;
    batch->iov = iov;
    batch->capacity = capacity;
    batch->used = batch->bytes = batch->staged = 0;
}

bool batch_full(const struct batch *batch)
{
    return batch->bytes >= BATCH_BYTES_MAX ||
           batch->capacity - batch->used < BATCH_IOVECS_SPARE ||
           STAGING_BYTES - batch->staged < FRAME_HEADER_BYTES;
}

void batch_point(struct batch *batch, const void *bytes, size_t count)
{
    assert(batch->used < batch->capacity);
    batch->iov[batch->used++] = (struct iovec){
        .iov_base = (void *)(uintptr_t)bytes, /* a writer only reads it */
        .iov_len = count,
    };
    batch->bytes += count;
}

/* Whether `at` follows the last iovec in the staging buffer: they become one. */
static bool continues(const struct batch *batch, const uint8_t *at)
{
    const struct iovec *last;

    if (batch->used == 0)
        return false;
    last = &batch->iov[batch->used - 1];
    return (uint8_t *)last->iov_base + last->iov_len == at;
}

bool batch_copy(struct batch *batch, const uint8_t *bytes, size_t count)
{
    uint8_t *at = batch->staging + batch->staged;

    if (count > STAGING_BYTES - batch->staged)
        return false;
    memcpy(at, bytes, count);
    batch->staged += count;
    if (continues(batch, at)) {
        batch->iov[batch->used - 1].iov_len += count;
        batch->bytes += count;
    } else {
        batch_point(batch, at, count);
    }
    return true;
}

static struct h2_slice *slice_of(struct list *node)
{
    return LIST_OWNER(node, struct h2_slice, link);
}

size_t batch_fits(const struct batch *batch, const struct list *queue, size_t bytes_max)
{
    size_t free_iovecs = batch->capacity - batch->used - 1; /* one for the frame header */
    size_t bytes = 0;

    for (struct list *node = queue->next; node != queue; node = node->next) {
        const struct h2_slice *slice = slice_of(node);
        size_t left = slice->count - slice->sent;

        if (left == 0)
            continue;
        if (free_iovecs-- == 0 || bytes >= bytes_max)
            break;
        bytes += left;
    }
    return u64_min(bytes, bytes_max);
}

static void add(struct batch *batch, const uint8_t *bytes, size_t count)
{
    const bool small = count <= COPIED_SLICE_BYTES_MAX &&
                       STAGING_BYTES - batch->staged >= STAGING_BYTES / 4;

    if (!small || !batch_copy(batch, bytes, count))
        batch_point(batch, bytes, count);
}

void batch_take(struct batch *batch, struct list *queue, size_t count)
{
    while (!list_empty(queue)) {
        struct h2_slice *slice = slice_of(queue->next);
        size_t left = slice->count - slice->sent;
        size_t taken = u64_min(left, count);

        if (taken)
            add(batch, (const uint8_t *)slice->bytes + slice->sent, taken);
        slice->sent += taken;
        count -= taken;
        if (taken < left)
            return;
        list_remove(&slice->link);
        list_push(&batch->lent, &slice->link);
        if (count == 0)
            return;
    }
}

void batch_close(struct batch *batch)
{
    struct list *node;

    batch->state = BATCH_NONE;
    while ((node = list_pop(&batch->lent))) {
        struct h2_slice *slice = slice_of(node);

        slice->release(slice);
    }
}
