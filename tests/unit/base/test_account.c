/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <pthread.h>
#include <string.h>

#include "base/account.h"
#include "base/budget.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"

CASE(shares_are_fair,
     "one account gets most of a budget, the next an equal share of the rest")
{
    enum { MAX = 16 << 20, STEP = 1 << 10, SHARED = MAX / 8 * 7 };
    struct budget budget;
    struct account *address, *first, *second, *small[3];

    budget_init(&budget, MAX);
    address = account_open(&budget, NULL);
    first = account_open(&budget, address);
    second = account_open(&budget, address);
    while (account_reserve(first, STEP))
        continue;
    CHECK(account_bytes(first) > SHARED / 4 * 3 - 4 * STEP &&
          account_bytes(first) <= SHARED / 4 * 3 + STEP);
    CHECK(first->refusals == 1);
    while (account_reserve(second, STEP))
        continue;
    CHECK(account_bytes(second) > SHARED / 10); /* while the first keeps what it has */
    CHECK_EQ(account_bytes(address), account_bytes(first) + account_bytes(second));
    CHECK(account_bytes(address) <= SHARED / 8 * 7 + STEP);
    for (int i = 0; i < 3; i++) { /* from the same address, which has its share */
        small[i] = account_open(&budget, address);
        CHECK(account_reserve(small[i], ACCOUNT_SMALL_BYTES));
        CHECK(!account_reserve(small[i], MAX / 8));
        account_release(small[i], ACCOUNT_SMALL_BYTES);
        account_close(small[i]);
    }
    account_release(first, account_bytes(first));
    while (account_reserve(first, STEP))
        continue;
    CHECK(account_bytes(first) > SHARED / 4);
    CHECK(account_has_room(NULL, UINT64_MAX) && account_reserve(NULL, 1));
    account_release(first, account_bytes(first));
    account_release(second, account_bytes(second));
    CHECK_EQ(budget.bytes_used, 0);
    account_close(first);
    account_close(second);
    account_close(address);
}

CASE(last_part_is_kept, "the last part of a budget is reserved for ending calls")
{
    struct budget budget;
    struct account *account;

    budget_init(&budget, 1600);
    budget_keep_last(&budget, 100);
    account = account_open(&budget, NULL);
    CHECK(!account_reserve(account, 1501));
    CHECK(budget_reserve(&budget, 1500));
    CHECK_EQ(budget_free(&budget), 0);
    CHECK(!account_reserve(account, 1) && !budget_reserve(&budget, 1));
    CHECK(account_reserve_last(account, 40) && !account_is_last_short(account));
    CHECK(account_reserve_last(account, 60) && account_is_last_short(account));
    CHECK(!account_reserve_last(account, 1));
    account_release(account, 100);
    budget_release(&budget, 1500);
    account_close(account);
}

CASE(outlives_its_connection, "a closed account lives until its last byte is released")
{
    struct budget budget;
    struct account *account;
    void *memory;

    budget_init(&budget, 1 << 20);
    account = account_open(&budget, NULL);
    memory = account_alloc(account, 1000);
    CHECK(memory);
    account_close(account);
    CHECK(budget.bytes_used >= 1000);
    memory = account_realloc(account, memory, 5000);
    CHECK(memory && budget.bytes_used >= 5000);
    account_free(account, memory);
    CHECK_EQ(budget.bytes_used, 0);
    account_close(NULL);
    account_free(NULL, NULL);
}

CASE(charges_what_the_allocator_gives,
     "memory is charged with its real size and its header")
{
    struct budget budget;
    struct account *account;
    uint64_t random = check_seed(), sum = 0;
    void *held[50] = {NULL};

    budget_init(&budget, 1 << 30);
    account = account_open(&budget, NULL);
    for (int step = 0; step < 2000; step++) {
        size_t i = check_random(&random) % 50, bytes = check_random(&random) % 5000;

        if (held[i])
            sum -= malloc_usable_size(held[i]) + sizeof(size_t);
        if (step % 3 == 0) {
            account_free(account, held[i]);
            held[i] = NULL;
        } else {
            held[i] = account_realloc(account, held[i], bytes + 1);
            CHECK(held[i]);
            memset(held[i], 0x5a, bytes + 1);
            sum += malloc_usable_size(held[i]) + sizeof(size_t);
        }
        CHECK_EQ(budget.bytes_used, sum);
        CHECK_EQ(account_bytes(account), sum);
    }
    for (size_t i = 0; i < 50; i++)
        account_free(account, held[i]);
    CHECK_EQ(budget.bytes_used, 0);
    account_close(account);
}

CASE(batches, "a batch touches the budget seldom, never refuses more, and ends exactly")
{
    struct budget budget;
    struct account *address, *account;
    uint64_t before;
    void *memory;

    budget_init(&budget, 1 << 20);
    address = account_open(&budget, NULL);
    account = account_open(&budget, address);
    account_batch_begin(account);
    CHECK(account_reserve(account, 100));
    before = budget.bytes_used;
    CHECK_EQ(before, 100 + ACCOUNT_AHEAD_BYTES);
    for (int i = 0; i < 1000; i++) {
        account_free(account, account_alloc(account, 2000));
        account_free(account, account_alloc_last(account, 1000));
    }
    CHECK_EQ(budget.bytes_used, before);
    account_release(account, 100);
    for (int i = 0; i < 10; i++) { /* more than it keeps */
        CHECK(account_reserve(account, ACCOUNT_SLACK_BYTES));
        account_release(account, ACCOUNT_SLACK_BYTES);
    }
    CHECK(budget.bytes_used <= ACCOUNT_SLACK_BYTES);
    account_batch_end(account);
    CHECK_EQ(budget.bytes_used, 0);
    CHECK_EQ(account_bytes(address), 0);

    /* the last byte of the budget can be had in a batch too */
    CHECK(budget_reserve(&budget, (1 << 20) - 3000));
    account_batch_begin(account);
    CHECK(account_reserve(account, 1000) && account_reserve(account, 2000));
    CHECK(!account_reserve(account, 1));
    CHECK_EQ(budget.bytes_used, 1 << 20);
    account_release(account, 3000);
    account_batch_end(account);
    budget_release(&budget, (1 << 20) - 3000);

    /* what a batch keeps counts as free: the account stays small, and a call fits */
    CHECK(account_reserve(account, ACCOUNT_TINY_BYTES - 2000));
    CHECK(budget_reserve(&budget, budget_free(&budget) - ACCOUNT_AHEAD_BYTES));
    account_batch_begin(account);
    account_release(account, 20000);
    CHECK(account_has_room(account, 22000) && !account_has_room(account, 22001));
    CHECK(account_reserve(account, 22000));
    account_batch_end(account);
    account_release(account, ACCOUNT_TINY_BYTES);
    budget_release(&budget, budget.bytes_used);

    /* the address's account is told at the end, and counts in between */
    before = account_bytes(address);
    account_batch_begin(account);
    account_hold(account, 700000);
    CHECK_EQ(account_bytes(address), before);
    CHECK(!account_has_room(account, 600000));
    account_drop(account, 500000);
    account_batch_end(account);
    CHECK_EQ(account_bytes(address), before + 200000);
    account_batch_begin(account);
    account_drop(account, 200000);
    account_batch_end(account);
    CHECK_EQ(account_bytes(address), before);

    account_batch_begin(account);
    account_batch_begin(account);
    memory = account_alloc(account, 100);
    account_batch_end(account);
    account_close(account);
    account_free(account, memory);
    CHECK(budget.bytes_used > 0);
    account_batch_end(account); /* frees it */
    CHECK_EQ(budget.bytes_used, 0);
    account_close(address);
    account_batch_begin(NULL);
    account_batch_end(NULL);
}

CASE(refuses_without_effect,
     "a refused allocation charges nothing and keeps what was there")
{
    struct budget budget;
    struct account *account;
    size_t capacity = 0;
    char *text;

    budget_init(&budget, 4096);
    account = account_open(&budget, NULL);
    CHECK(!account_alloc(account, 4096) && !account_calloc(account, SIZE_MAX, 2));
    CHECK(!account_alloc(account, SIZE_MAX) && !account_realloc(account, NULL, SIZE_MAX));
    CHECK_EQ(budget.bytes_used, 0);
    text = account_grow(account, NULL, &capacity, 5, 1);
    CHECK(text && capacity == 512);
    strcpy(text, "kept");
    CHECK(!account_grow(account, text, &capacity, 1 << 20, 1) && capacity == 512);
    fault_arm(FAULT_MEMORY, 1, FAULT_STICKY);
    CHECK(!account_realloc(account, text, 1000) && !account_alloc_last(account, 10));
    CHECK(fault_disarm());
    CHECK(strcmp(text, "kept") == 0);
    account_free(account, text);
    CHECK_EQ(budget.bytes_used, 0);
    account_close(account);
    fault_arm(FAULT_MEMORY, 1, FAULT_STICKY);
    CHECK(!account_open(&budget, NULL));
    CHECK(fault_disarm());
}

/* A loop that opens connections of one address, which hold memory beyond their end. */
static void *open_connections(void *arg)
{
    enum { CONNECTIONS = 2000, HELD = 8 };
    struct account *address = arg, *held[HELD] = {0};
    void *memory[HELD] = {0};

    for (int i = 0; i < CONNECTIONS; i++) {
        struct account **account = &held[i % HELD];

        account_free(*account, memory[i % HELD]); /* frees the account of a closed one */
        *account = account_open(address->budget, address);
        memory[i % HELD] = account_alloc(*account, 100);
        CHECK(memory[i % HELD]);
        account_close(*account);
    }
    for (int i = 0; i < HELD; i++)
        account_free(held[i], memory[i]);
    return NULL;
}

CASE(loops_share_an_address,
     "connections of several loops share the account of their address exactly")
{
    enum { LOOPS = 3 };
    pthread_t loops[LOOPS];
    struct account *address, *last;
    struct budget budget;

    budget_init(&budget, 16 << 20);
    address = account_open(&budget, NULL);
    for (int i = 0; i < LOOPS; i++)
        CHECK(pthread_create(&loops[i], NULL, open_connections, address) == 0);
    for (int i = 0; i < LOOPS; i++)
        pthread_join(loops[i], NULL);
    CHECK(account_bytes(address) == 0 && budget.bytes_used == 0);
    last = account_open(&budget, address);
    CHECK(account_reserve(last, 1000));
    account_close(last);
    account_close(address); /* stays until its last connection's bytes are released */
    CHECK_EQ(account_bytes(address), 1000);
    account_release(last, 1000);
    CHECK_EQ(budget.bytes_used, 0);
}
