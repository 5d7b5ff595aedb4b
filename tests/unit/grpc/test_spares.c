/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/spares.h"

#include <stdlib.h>
#include <string.h>

#include "base/budget.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"

enum { BYTES = 12000 };

static struct budget budget;
static struct account *address, *account;
static struct spares spares;

static void begin(uint64_t budget_bytes)
{
    budget_init(&budget, budget_bytes);
    address = account_open(&budget, NULL);
    account = account_open(&budget, address);
    CHECK(address && account);
}

static void end(void)
{
    CHECK_EQ(budget.bytes_used, 0);
    spares_fini(&spares);
    CHECK_EQ(spares.count, 0);
    account_close(account);
    account_close(address);
}

CASE(zeroed,
     "the first bytes are zeroed, used again or not, and all are charged while used")
{
    begin(1 << 20);
    for (size_t i = 0; i < 10; i++) {
        const size_t bytes = i % 4 == 3 ? 1 : BYTES; /* sizes change */
        const size_t zeroed = i % 2 ? bytes : bytes / 2;
        uint8_t *memory = spares_get(&spares, account, bytes, zeroed);

        CHECK(memory);
        CHECK(budget.bytes_used >= bytes && account_bytes(account) == budget.bytes_used);
        for (size_t at = 0; at < zeroed; at++)
            CHECK_EQ(memory[at], 0);
        memset(memory, 0xa5, bytes);
        spares_put(&spares, account, memory, bytes);
        CHECK_EQ(budget.bytes_used, 0);
    }
    end();
}

CASE(bounded, "at most SPARE_CALLS_MAX are kept")
{
    enum { CALLS = 2 * SPARE_CALLS_MAX };
    static void *memory[CALLS];

    begin(64 << 20);
    for (size_t i = 0; i < CALLS; i++)
        CHECK((memory[i] = spares_get(&spares, account, BYTES, BYTES)));
    for (size_t i = 0; i < CALLS; i++)
        spares_put(&spares, account, memory[i], BYTES);
    CHECK(spares.count <= SPARE_CALLS_MAX);
    end();
}

CASE(refused, "what the account or the allocator refuses changes nothing")
{
    begin(BYTES - 1);
    CHECK(!spares_get(&spares, account, BYTES, BYTES));
    end();
    begin(1 << 20);
    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    CHECK(!spares_get(&spares, account, BYTES, BYTES));
    CHECK(fault_disarm());
    end();
}

CASE(nobody, "without an account nothing is charged")
{
    void *memory = spares_get(&spares, NULL, BYTES, BYTES);

    CHECK(memory);
    spares_put(&spares, NULL, memory, BYTES);
    spares_fini(&spares);
}
