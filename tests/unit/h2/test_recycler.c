/* SPDX-License-Identifier: Apache-2.0 */
#include "h2/recycler.h"

#include <malloc.h>
#include <string.h>

#include "base/budget.h"
#include "base/limits.h"
#include "base/peer.h"
#include "h2/impl.h"
#include "tests/lib/check.h"

#ifdef TRIT_ASAN
static const bool keeps = false;
#else
static const bool keeps = true;
#endif

/* glibc's blocks have at least as much; those of ThreadSanitizer may have one byte. */
enum { KEPT_BYTES_MIN = 24 };

static struct recycler recycler_with(struct budget *budget, uint64_t bytes_max)
{
    budget_init(budget, bytes_max);
    return (struct recycler){.account = account_open(budget, NULL)};
}

CASE(serves_again, "memory that was freed serves the next request of its size")
{
    struct budget budget;
    struct recycler recycler = recycler_with(&budget, 1 << 20);
    uint64_t random = check_seed();

    for (size_t bytes = 1; bytes < 700; bytes++) {
        void *first = recycler_alloc(&recycler, bytes), *second;
        uint64_t charged = budget.bytes_used;
        const size_t usable = malloc_usable_size(first);
        /* A block may have more than was asked for, and only those of ThreadSanitizer
         * have sizes other than 16n + 8. */
        bool exact = usable < bytes + 16 && usable % 16 == 8;
        size_t less = 1 + check_random(&random) % bytes;

        CHECK(first && charged >= bytes);
        memset(first, 0x5a, bytes);
        recycler_free(&recycler, first);
        if (!keeps || usable < KEPT_BYTES_MIN)
            CHECK_EQ(budget.bytes_used, 0);
        else if (bytes <= 600)
            CHECK_EQ(budget.bytes_used, charged);
        second = recycler_calloc(&recycler, 1, bytes);
        CHECK(second && budget.bytes_used >= bytes);
        if (exact && usable >= KEPT_BYTES_MIN)
            CHECK_EQ(budget.bytes_used, charged);
        for (size_t i = 0; i < bytes; i++)
            CHECK(((char *)second)[i] == 0);
        recycler_free(&recycler, second);
        second = recycler_alloc(&recycler, less);
        CHECK(second);
        memset(second, 0x5a, less); /* AddressSanitizer sees a block that is too small */
        second = recycler_realloc(&recycler, second, 2 * bytes);
        CHECK(second);
        memset(second, 0x5a, 2 * bytes);
        recycler_free(&recycler, second);
        recycler_trim(&recycler, 0);
        CHECK_EQ(budget.bytes_used, 0);
    }
    recycler_free(&recycler, NULL);
    account_close(recycler.account);
}

CASE(keeps_little, "at most RECYCLER_BYTES_MAX are kept, and they are charged")
{
    enum { COUNT = 300, BYTES = 200 };
    struct budget budget;
    struct recycler recycler = recycler_with(&budget, 1 << 20);
    void *held[COUNT];

    for (size_t i = 0; i < COUNT; i++)
        CHECK(held[i] = recycler_alloc(&recycler, BYTES));
    CHECK(budget.bytes_used >= COUNT * BYTES);
    for (size_t i = 0; i < COUNT; i++)
        recycler_free(&recycler, held[i]);
    CHECK(budget.bytes_used >= recycler.bytes);
    CHECK(recycler.bytes <= RECYCLER_BYTES_MAX &&
          (recycler.bytes > RECYCLER_BYTES_MAX - 2 * BYTES || !keeps));
    CHECK(budget.bytes_used <= RECYCLER_BYTES_MAX / 200 * 220);
    recycler_trim(&recycler, 0);
    CHECK_EQ(budget.bytes_used, 0);
    account_close(recycler.account);
}

CASE(gives_back, "what is kept is given back before an allocation is refused")
{
    struct budget budget;
    struct recycler recycler = recycler_with(&budget, 4096);
    size_t capacity = 0;
    void *first = recycler_alloc(&recycler, 500), *second;

    CHECK(first && !recycler_alloc(&recycler, 4000));
    recycler_free(&recycler, first);
    second = recycler_alloc(&recycler, 4000);
    CHECK(second && recycler.bytes == 0);
    recycler_free(&recycler, second);
    recycler_free(&recycler, recycler_alloc(&recycler, 500));
    first = recycler_alloc(&recycler, 100);
    second = recycler_realloc(&recycler, first, 3800);
    CHECK(second && recycler.bytes == 0);
    CHECK(!recycler_realloc(&recycler, second, 5000));
    CHECK(!recycler_calloc(&recycler, SIZE_MAX, 2));
    CHECK(!recycler_grow(&recycler, NULL, &capacity, SIZE_MAX, 2) && capacity == 0);
    recycler_free(&recycler, second);
    recycler_trim(&recycler, 0);
    CHECK_EQ(budget.bytes_used, 0);
    account_close(recycler.account);
}

/* ---- in a session ---- */

static void answer(void *owner, struct h2_stream *stream, const struct h2_header *headers,
                   size_t count)
{
    const struct h2_header status = {"grpc-status", "0", 11, 1};

    (void)owner, (void)headers, (void)count;
    CHECK(h2_finish(stream, &status, 1) == 0);
}

static void nothing(struct h2_stream *stream, uint32_t code)
{
    (void)stream, (void)code;
}

static void wake(void *waker)
{
    (void)waker;
}

static void exchange(struct h2_session *session, const char *bytes, size_t count)
{
    struct iovec iov[8];
    size_t used;

    CHECK(h2_receive(session, (const uint8_t *)bytes, count, NULL) == 0);
    for (;;) {
        used = 8;
        CHECK(h2_produce(session, iov, &used, NULL) == 0);
        if (used == 0)
            return;
        h2_produced(session);
    }
}

CASE(idle_session, "a session without streams keeps at most RECYCLER_IDLE_BYTES_MAX")
{
    static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    static const char call[] = "\0\0\x09\1\5\0\0\0\0\x83\x86\x04\x02/x\x01\x01h";
    enum { CALL_BYTES = sizeof(call) - 1, CALLS = 40 };
    static const struct h2_events events = {.request = answer, .closed = nothing};
    struct limits limits = limits_default();
    struct budget budget;
    struct peer peer = {0};
    struct h2_session *session;
    char calls[CALLS * CALL_BYTES];
    uint64_t before;
    unsigned id = 1;

    budget_init(&budget, 1 << 20);
    peer.account = account_open(&budget, NULL);
    session = h2_create(&limits, &events, NULL, &peer, wake, NULL);
    exchange(session, hello, sizeof(hello) - 1);
    before = budget.bytes_used;
    for (size_t round = 0; round < 10; round++) {
        for (size_t i = 0; i < CALLS; i++, id += 2) {
            memcpy(calls + i * CALL_BYTES, call, CALL_BYTES);
            calls[i * CALL_BYTES + 7] = (char)(id >> 8);
            calls[i * CALL_BYTES + 8] = (char)id;
        }
        exchange(session, calls, sizeof(calls));
        CHECK_EQ(h2_streams(session), 0);
        CHECK(session->recycler.bytes <= RECYCLER_IDLE_BYTES_MAX);
        /* nghttp2's tables of streams stay as large; a block costs 8 bytes more */
        CHECK(budget.bytes_used <= before + 2 * RECYCLER_IDLE_BYTES_MAX);
    }
    h2_destroy(session);
    CHECK_EQ(budget.bytes_used, 0);
    account_close(peer.account);
}
