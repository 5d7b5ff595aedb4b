/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of a connection's life fails once, and then every one from
 * there on: ours and, through its allocator hooks, nghttp2's. */
#include <string.h>

#include "base/limits.h"
#include "h2/session.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"

/* ---- fixture ---- */

enum { CALLS = 3, SLICES = 2 };

struct life {
    struct h2_slice slices[CALLS][SLICES];
    unsigned released[CALLS][SLICES];
    bool lent[CALLS][SLICES];
    unsigned requests, closed;
    bool answered; /* every answer was accepted */
};

static struct life *life; /* release() knows only the slice */

static const uint8_t body[40000];

static void release(struct h2_slice *slice)
{
    size_t i = (size_t)(slice - &life->slices[0][0]);

    (&life->released[0][0])[i]++;
}

static void lend(struct h2_stream *stream, unsigned call, unsigned i)
{
    struct h2_slice *slice = &life->slices[call][i];

    slice->bytes = body;
    slice->count = sizeof(body);
    slice->release = release;
    life->lent[call][i] = true;
    h2_write(stream, slice);
}

static void request(void *owner, struct h2_stream *stream,
                    const struct h2_header *headers, size_t count)
{
    const struct h2_header type = {"content-type", "application/grpc", 12, 16};
    const struct h2_header status = {"grpc-status", "0", 11, 1};
    unsigned call = life->requests++;

    (void)owner, (void)headers, (void)count;
    if (call == 2) {
        life->answered &= h2_finish(stream, &status, 1) == 0;
        return;
    }
    if (h2_respond(stream, 200, &type, 1) != 0) {
        life->answered = false;
        return;
    }
    lend(stream, call, 0);
    lend(stream, call, 1);
    if (call == 1)
        h2_reset(stream, 8);
    else if (h2_finish(stream, &status, 1) != 0)
        life->answered = false;
}

static void data(struct h2_stream *stream, const uint8_t *bytes, size_t count)
{
    (void)bytes;
    h2_credit(stream, count);
}

static void end(struct h2_stream *stream)
{
    (void)stream;
}

static void closed(struct h2_stream *stream, uint32_t code)
{
    (void)stream, (void)code;
    life->closed++;
}

static void wake(void *waker)
{
    (void)waker;
}

/* The client's half: hello, a request of 300 bytes, two of none. */
static const char script[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
                             "\0\0\x09\1\4\0\0\0\1\x83\x86\x04\x02/x\x01\x01h"
                             "\0\0\x08\0\0\0\0\0\1--------"
                             "\0\0\x09\1\5\0\0\0\3\x83\x86\x04\x02/x\x01\x01h"
                             "\0\0\x09\1\4\0\0\0\5\x83\x86\x04\x02/x\x01\x01h"
                             "\0\0\x08\6\0\0\0\0\0ping-ing";

/* Everything that leaves. -1: the session said that it is broken. */
static int drain_output(struct h2_session *session, size_t *bytes)
{
    for (;;) {
        struct iovec iov[8];
        size_t count = 8;

        if (h2_produce(session, iov, &count, NULL) != 0)
            return -1;
        if (count == 0)
            return 0;
        for (size_t i = 0; i < count; i++)
            *bytes += iov[i].iov_len;
        h2_produced(session);
    }
}

/* True when all went well. */
static bool live(size_t *bytes)
{
    static const struct h2_events events = {
        .request = request, .data = data, .end = end, .closed = closed};
    struct limits limits = limits_default();
    struct h2_session *session = h2_create(&limits, &events, NULL, NULL, wake, NULL);
    bool well;

    if (!session)
        return false;
    well = h2_receive(session, (const uint8_t *)script, sizeof(script) - 1, NULL) == 0;
    well &= drain_output(session, bytes) == 0;
    h2_drain(session);
    h2_drain_finish(session);
    well &= drain_output(session, bytes) == 0;
    h2_destroy(session);
    return well && life->answered && life->requests == CALLS;
}

static void life_is_orderly(enum fault_mode mode)
{
    size_t whole = 0;
    uint64_t n;

    for (n = 1; n < 10000; n++) {
        struct life one = {.answered = true};
        size_t bytes = 0;
        bool well, failed;

        life = &one;
        fault_arm(FAULT_MEMORY, n, mode);
        well = live(&bytes);
        failed = fault_disarm();
        life = NULL;
        CHECK_EQ(one.requests, one.closed);
        for (unsigned i = 0; i < CALLS * SLICES; i++)
            CHECK_EQ((&one.released[0][0])[i], (&one.lent[0][0])[i]);
        if (!failed) {
            CHECK(well);
            whole = bytes;
            break;
        }
    }
    CHECK(n > 20); /* the hooks do reach nghttp2 */
    CHECK(whole > sizeof(body));
}

/* ---- cases ---- */

CASE(once, "whichever allocation fails, every stream closes and every slice is released")
{
    life_is_orderly(FAULT_ONCE);
}

CASE(sticky, "every allocation from any point on may fail")
{
    life_is_orderly(FAULT_STICKY);
}
