/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of a computation lie in spans; each piece is given out once. */
#include "services/layers/spans.h"

#include <pthread.h>
#include <stdatomic.h>

#include "tests/lib/check.h"

enum { PIECES = 1000, SPANS_MAX = 7, THREADS = 4 };

static struct spans spans;
static struct span memory[SPANS_MAX];
static _Atomic unsigned taken[PIECES];

static void cut(uint32_t count, uint64_t pieces)
{
    for (unsigned i = 0; i < PIECES; i++)
        atomic_store(&taken[i], 0);
    spans_cut(&spans, memory, count, pieces);
}

CASE(one_span, "one span gives out all pieces in their order, whoever takes them")
{
    uint64_t piece;

    cut(1, 5);
    for (uint32_t i = 0; i < 5; i++) {
        CHECK(spans_take(&spans, i, &piece));
        CHECK_EQ(piece, i);
    }
    CHECK(spans_all_taken(&spans));
    CHECK(!spans_take(&spans, 0, &piece));
}

CASE(near, "a processor gets the pieces of its own span, then those of the next ones")
{
    static const uint64_t of_second[] = {2, 3, 4, 5, 6, 0, 1};
    uint64_t piece;

    cut(3, 7); /* 0 1 | 2 3 | 4 5 6 */
    for (int i = 0; i < 7; i++) {
        CHECK(spans_take(&spans, 4, &piece));
        CHECK_EQ(piece, of_second[i]);
    }
    CHECK(spans_all_taken(&spans));
}

CASE(few, "of fewer pieces than spans, each is given out")
{
    uint64_t piece, sum = 0;

    cut(7, 2);
    for (int i = 0; i < 2; i++) {
        CHECK(!spans_all_taken(&spans));
        CHECK(spans_take(&spans, 0, &piece));
        sum += piece;
    }
    CHECK_EQ(sum, 1);
    CHECK(!spans_take(&spans, 3, &piece));
}

CASE(closed, "closed spans give out nothing")
{
    uint64_t piece;

    cut(3, 7);
    CHECK(spans_take(&spans, 0, &piece));
    spans_close(&spans);
    CHECK(spans_all_taken(&spans));
    CHECK(!spans_take(&spans, 1, &piece));
}

CASE(empty, "zeroed spans have no pieces")
{
    struct spans none = {0};
    uint64_t piece;

    CHECK(spans_all_taken(&none));
    CHECK(!spans_take(&none, 0, &piece));
}

static void *take_all(void *near)
{
    uint64_t piece;

    while (spans_take(&spans, *(const uint32_t *)near, &piece))
        atomic_fetch_add(&taken[piece], 1);
    return NULL;
}

CASE(threads, "of threads that take pieces at once, each piece goes to one")
{
    static uint32_t near[THREADS] = {0, 0, 1, UINT32_MAX};
    pthread_t threads[THREADS];
    unsigned once = 0;

    cut(3, PIECES);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, take_all, &near[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < PIECES; i++)
        once += atomic_load(&taken[i]) == 1;
    CHECK_EQ(once, PIECES);
}
