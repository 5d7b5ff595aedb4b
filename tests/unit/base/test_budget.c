/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "base/budget.h"
#include "tests/lib/check.h"

CASE(grants_up_to_its_bound, "a budget grants up to its bound and counts refusals")
{
    struct budget budget;

    budget_init(&budget, 100);
    CHECK(budget_reserve(&budget, 60));
    CHECK(!budget_reserve(&budget, 41));
    CHECK(budget_reserve(&budget, 40));
    CHECK(!budget_reserve(&budget, 1));
    CHECK(budget_reserve(&budget, 0));
    CHECK_EQ(budget.bytes_used, 100);
    CHECK_EQ(budget.refusals, 2);
    budget_release(&budget, 100);
    CHECK_EQ(budget.bytes_used, 0);
    CHECK_EQ(budget.bytes_peak, 100);
}

CASE(huge_requests_do_not_wrap, "a budget refuses requests whose sum would overflow")
{
    struct budget budget;

    budget_init(&budget, UINT64_MAX);
    CHECK(budget_reserve(&budget, UINT64_MAX - 1));
    CHECK(!budget_reserve(&budget, 2));
    CHECK(!budget_reserve(&budget, UINT64_MAX));
    CHECK_EQ(budget.bytes_used, UINT64_MAX - 1);
}

enum { THREADS = 4, ROUNDS = 20000, BYTES_MAX = 1000 };

struct contender {
    pthread_t thread;
    struct budget *budget;
    uint64_t random;
    uint64_t refused;
    bool exceeded;
};

static void *contend(void *arg)
{
    struct contender *me = arg;
    uint64_t held[4] = {0};

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t *slot = &held[i % 4];
        uint64_t bytes = 1 + check_random(&me->random) % 400;

        budget_release(me->budget, *slot);
        *slot = 0;
        if (budget_reserve(me->budget, bytes))
            *slot = bytes;
        else
            me->refused++;
        me->exceeded |= me->budget->bytes_used > BYTES_MAX;
    }
    for (int i = 0; i < 4; i++)
        budget_release(me->budget, held[i]);
    return NULL;
}

CASE(holds_under_threads, "a budget's bound holds while threads compete for it")
{
    struct contender contenders[THREADS];
    struct budget budget;
    uint64_t refused = 0, seed = check_seed();

    budget_init(&budget, BYTES_MAX);
    for (size_t i = 0; i < THREADS; i++) {
        contenders[i] = (struct contender){.budget = &budget, .random = seed + i};
        CHECK(pthread_create(&contenders[i].thread, NULL, contend, &contenders[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(contenders[i].thread, NULL);
        refused += contenders[i].refused;
    }
    for (int i = 0; i < THREADS; i++)
        CHECK(!contenders[i].exceeded);
    CHECK_EQ(budget.bytes_used, 0);
    CHECK_EQ(budget.refusals, refused);
    CHECK(budget.bytes_peak <= BYTES_MAX && budget.bytes_peak > 0);
}

static void count_fall(void *arg)
{
    ++*(int *)arg;
}

CASE(tells_of_a_fall, "a budget tells when less than half of a large use is left")
{
    struct budget budget;
    int falls = 0;

    budget_init(&budget, 1 << 30);
    budget_on_fall(&budget, count_fall, &falls);
    CHECK(budget_reserve(&budget, BUDGET_FALL_BYTES));
    budget_release(&budget, BUDGET_FALL_BYTES);
    CHECK_EQ(falls, 0); /* not worth it */
    CHECK(budget_reserve(&budget, 4 * BUDGET_FALL_BYTES));
    budget_release(&budget, BUDGET_FALL_BYTES);
    CHECK_EQ(falls, 0);
    budget_release(&budget, BUDGET_FALL_BYTES + 1);
    CHECK_EQ(falls, 1);
    budget_release(&budget, 2 * BUDGET_FALL_BYTES - 1);
    CHECK(falls == 2 && budget.bytes_used == 0);
}
