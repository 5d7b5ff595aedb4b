/* SPDX-License-Identifier: Apache-2.0 */
/* A session fed with anything after the preface. The first byte chooses how the
 * input is cut and how the owner answers; what is checked is that every request
 * closes once, every slice returns once, and output comes to an end. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "h2/session.h"

struct owner {
    unsigned habit; /* how requests are answered */
    size_t requests, closed, lent, released;
};

struct lent {
    struct h2_slice slice;
    struct owner *owner;
    char bytes[100];
};

static void release(struct h2_slice *slice)
{
    struct lent *lent = (struct lent *)(void *)slice;

    lent->owner->released++;
    free(lent);
}

static void answer(struct owner *owner, struct h2_stream *stream)
{
    const struct h2_header status = {"grpc-status", "0", 11, 1};

    if (owner->habit & 1)
        h2_respond(stream, 200, NULL, 0);
    for (unsigned i = 0; (owner->habit & 1) && i < (owner->habit >> 1 & 3); i++) {
        struct lent *lent = calloc(1, sizeof(*lent));

        if (!lent)
            abort();
        lent->owner = owner;
        lent->slice.bytes = lent->bytes;
        lent->slice.count = sizeof(lent->bytes);
        lent->slice.release = release;
        owner->lent++;
        h2_write(stream, &lent->slice);
    }
    if (owner->habit & 8)
        h2_finish(stream, &status, 1);
    if (owner->habit & 16)
        h2_reset(stream, 8);
}

static void on_request(void *arg, struct h2_stream *stream,
                       const struct h2_header *headers, size_t count)
{
    struct owner *owner = arg;

    for (size_t i = 0; i < count; i++)
        if (headers[i].name[headers[i].name_len] ||
            headers[i].value[headers[i].value_len])
            abort();
    owner->requests++;
    h2_stream_set_user(stream, owner);
    if (owner->habit & 32)
        answer(owner, stream);
}

static void on_too_large(void *arg, struct h2_stream *stream)
{
    on_request(arg, stream, NULL, 0);
}

static void on_malformed(void *arg, struct h2_stream *stream,
                         const struct h2_header *headers, size_t count, const char *why)
{
    (void)arg, (void)stream;
    assert(why[0]);
    for (size_t i = 0; i < count; i++)
        assert(headers[i].name[headers[i].name_len] == '\0' &&
               headers[i].value[headers[i].value_len] == '\0');
}

static void on_data(struct h2_stream *stream, const uint8_t *bytes, size_t count)
{
    (void)bytes;
    h2_credit(stream, count);
}

static void on_end(struct h2_stream *stream)
{
    struct owner *owner = h2_stream_user(stream);

    if (!(owner->habit & 32))
        answer(owner, stream);
}

static void on_closed(struct h2_stream *stream, uint32_t code)
{
    struct owner *owner = h2_stream_user(stream);

    (void)code;
    owner->closed++;
}

static void on_wake(void *waker)
{
    (void)waker;
}

static void take_output(struct h2_session *session)
{
    for (int i = 0;; i++) {
        struct iovec iov[8];
        size_t count = 8;

        if (i == 100000)
            abort();
        if (h2_produce(session, iov, &count, NULL) != 0)
            return;
        if (count == 0 && !h2_has_uploads_to_stop(session))
            return;
        if (count == 0) {
            h2_stop_uploads(session);
            continue;
        }
        for (size_t j = 0; j < count; j++) {
            volatile const uint8_t *bytes = iov[j].iov_base;

            (void)(bytes[0] + bytes[iov[j].iov_len - 1]);
        }
        h2_produced(session);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
    static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    static const struct h2_events events = {
        .request = on_request,
        .request_too_large = on_too_large,
        .malformed = on_malformed,
        .data = on_data,
        .end = on_end,
        .closed = on_closed,
    };
    const struct limits limits = limits_default();
    struct owner owner = {0};
    struct h2_session *session;
    size_t step;

    if (bytes < 2)
        return 0;
    owner.habit = input[0];
    step = input[1] ? input[1] : bytes;
    session = h2_create(&limits, &events, &owner, NULL, on_wake, NULL);
    if (!session)
        abort();
    h2_receive(session, (const uint8_t *)hello, sizeof(hello) - 1, NULL);
    for (size_t at = 2; at < bytes; at += step) {
        if (h2_receive(session, input + at, bytes - at < step ? bytes - at : step,
                       NULL) != 0)
            break;
        if (owner.habit & 64)
            take_output(session);
    }
    if (owner.habit & 128)
        h2_drain(session);
    take_output(session);
    h2_destroy(session);
    if (owner.requests != owner.closed || owner.lent != owner.released)
        abort();
    return 0;
}
