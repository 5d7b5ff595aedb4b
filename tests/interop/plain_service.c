/* SPDX-License-Identifier: Apache-2.0 */
/* Answers every request with 200 and a body, as h2spec wants it. */
#include "tests/interop/plain_service.h"

#include <stdlib.h>

static void release(struct h2_slice *slice)
{
    free(slice);
}

static void request(void *owner, struct h2_stream *stream,
                    const struct h2_header *headers, size_t count)
{
    (void)owner, (void)stream, (void)headers, (void)count;
}

static void too_large(void *owner, struct h2_stream *stream)
{
    (void)owner;
    h2_reset(stream, 11);
}

static void data(struct h2_stream *stream, const uint8_t *bytes, size_t count)
{
    (void)bytes;
    h2_credit(stream, count);
}

static void end(struct h2_stream *stream)
{
    static const char body[] = "a body of some bytes\n";
    struct h2_slice *slice = calloc(1, sizeof(*slice));

    if (!slice)
        abort();
    slice->bytes = body;
    slice->count = sizeof(body) - 1;
    slice->release = release;
    h2_respond(stream, 200, NULL, 0);
    h2_write(stream, slice);
    h2_finish(stream, NULL, 0);
}

static void closed(struct h2_stream *stream, uint32_t code)
{
    (void)stream, (void)code;
}

const struct h2_events plain_events = {
    .request = request,
    .request_too_large = too_large,
    .data = data,
    .end = end,
    .closed = closed,
};
