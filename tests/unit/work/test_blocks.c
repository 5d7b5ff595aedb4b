/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/account.h"
#include "base/budget.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "work/blocks.h"
#include "work/plan.h"

static const size_t sizes[] = {0,     1,     8192,   8193,   18432,   18433,
                               65536, 65537, 266240, 266241, 1 << 20, 5 << 20};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

/* What one block charges to the budget: its slab, or the pages of its own mapping. */
static uint64_t charge_of(size_t bytes)
{
    return bytes <= TILE_IN_BYTES_MAX + 4096 ? BLOCKS_SLAB_BYTES
                                             : (bytes + 4095) / 4096 * 4096;
}

CASE(gives_what_is_asked,
     "a block has the requested size, is aligned, and its slab is charged")
{
    struct budget budget;
    struct blocks *blocks;
    struct block block = {0};

    budget_init(&budget, 64 << 20);
    blocks = blocks_create(&budget);
    CHECK(blocks);
    for (size_t i = 0; i < SIZES; i++) {
        CHECK(blocks_get(blocks, sizes[i], &block) == 0);
        CHECK(block.size >= sizes[i] && (uintptr_t)block.bytes % 64 == 0);
        CHECK_EQ(budget.bytes_used, charge_of(block.size));
        memset(block.bytes, 0xa5, block.size);
        blocks_put(blocks, &block);
        CHECK(!block.bytes && block.size == 0);
        CHECK_EQ(budget.bytes_used, 0);
        blocks_put(blocks, &block);
    }
    blocks_destroy(blocks);
    blocks_destroy(NULL);
}

CASE(large_blocks_are_exact,
     "a block above the size classes has exactly the requested size")
{
    struct budget budget;
    struct blocks *blocks;
    struct block block = {0};

    budget_init(&budget, 64 << 20);
    blocks = blocks_create(&budget);
    CHECK(blocks_get(blocks, TILE_IN_BYTES_MAX + 4097, &block) == 0);
    CHECK_EQ(block.size, TILE_IN_BYTES_MAX + 4097);
    CHECK_EQ(blocks_mapped_bytes(blocks), 0);
    blocks_put(blocks, &block);
    blocks_destroy(blocks);
}

CASE(packed_outputs_fit,
     "the 2-bit output of a tile takes a block at most a sixteenth larger than it")
{
    const size_t elements[] = {TILE_ELEMENTS_MAX, TILE_WIDE_ELEMENTS_MAX};
    struct budget budget;
    struct blocks *blocks;

    budget_init(&budget, 64 << 20);
    blocks = blocks_create(&budget);
    for (size_t i = 0; i < 2; i++) {
        const size_t output = elements[i] / 128 * 34;
        struct block block = {0};

        CHECK(blocks_get(blocks, output, &block) == 0);
        CHECK(block.size <= output + output / 16);
        blocks_put(blocks, &block);
    }
    blocks_destroy(blocks);
}

CASE(budget_bounds_blocks, "a block above the budget is refused")
{
    struct budget budget;
    struct blocks *blocks;
    struct block first = {0}, second = {0};

    budget_init(&budget, 3 << 20);
    blocks = blocks_create(&budget);
    CHECK(blocks_get(blocks, 100, &first) == 0);
    CHECK(blocks_get(blocks, 65536, &second) == -1);
    CHECK(blocks_get(blocks, 2 << 20, &second) == -1);
    CHECK(blocks_get(blocks, SIZE_MAX, &second) == -1);
    CHECK(!second.bytes);
    CHECK_EQ(budget.bytes_used, BLOCKS_SLAB_BYTES);
    blocks_put(blocks, &first);
    CHECK(blocks_get(blocks, 65536, &second) == 0);
    blocks_put(blocks, &second);
    blocks_destroy(blocks);
}

/* Random traffic: every block keeps what was written in it. */
CASE(blocks_are_apart, "blocks do not overlap, and the charge covers what is held")
{
    enum { HELD = 300, STEPS = 6000 };
    struct block held[HELD] = {{0}};
    uint64_t random = check_seed(), used = 0;
    struct budget budget;
    struct blocks *blocks;

    budget_init(&budget, 1 << 30);
    blocks = blocks_create(&budget);
    for (int step = 0; step < STEPS; step++) {
        size_t i = check_random(&random) % HELD;

        if (held[i].bytes) {
            CHECK_EQ(held[i].bytes[0], (uint8_t)i);
            CHECK_EQ(held[i].bytes[held[i].size - 1], (uint8_t)i);
            used -= held[i].size;
            blocks_put(blocks, &held[i]);
        }
        CHECK(blocks_get(blocks, sizes[check_random(&random) % 8], &held[i]) == 0);
        held[i].bytes[0] = held[i].bytes[held[i].size - 1] = (uint8_t)i;
        used += held[i].size;
        CHECK(budget.bytes_used >= used);
    }
    for (size_t i = 0; i < HELD; i++)
        blocks_put(blocks, &held[i]);
    CHECK_EQ(budget.bytes_used, 0);
    CHECK(blocks_mapped_bytes(blocks) <= BLOCKS_KEPT_BYTES_MAX);
    blocks_destroy(blocks);
}

CASE(free_memory_is_kept_to_a_cap, "free memory is kept up to a cap, in every size class")
{
    enum { HELD = 600 };
    static struct block held[HELD];
    struct budget budget;
    struct blocks *blocks;

    budget_init(&budget, 1 << 30);
    blocks = blocks_create(&budget);
    for (size_t i = 0; i < HELD; i++)
        CHECK(blocks_get(blocks, TILE_IN_BYTES_MAX, &held[i]) == 0);
    CHECK(blocks_mapped_bytes(blocks) > 2 * BLOCKS_KEPT_BYTES_MAX);
    for (size_t i = 0; i < HELD; i++)
        blocks_put(blocks, &held[i]);
    CHECK_EQ(blocks_mapped_bytes(blocks), BLOCKS_KEPT_BYTES_MAX);

    /* What is kept serves any class, without a new mapping. */
    fault_arm(FAULT_MAP, 1, FAULT_STICKY);
    for (size_t i = 0; i < HELD; i++)
        CHECK(blocks_get(blocks, 8 << 10, &held[i]) == 0);
    CHECK(!fault_disarm());
    for (size_t i = 0; i < HELD; i++)
        blocks_put(blocks, &held[i]);
    CHECK_EQ(blocks_mapped_bytes(blocks), BLOCKS_KEPT_BYTES_MAX);
    blocks_destroy(blocks);
}

CASE(large_memory_is_kept_to_a_cap,
     "a large block that was put back serves the next one of its size, up to a cap")
{
    enum { HELD = 40, SIZE = 1 << 20 };
    static struct block held[HELD];
    struct budget budget;
    struct blocks *blocks;

    budget_init(&budget, (uint64_t)1 << 30);
    blocks = blocks_create(&budget);
    CHECK(blocks_get(blocks, SIZE, &held[0]) == 0);
    blocks_put(blocks, &held[0]);
    CHECK_EQ(budget.bytes_used, 0);
    CHECK_EQ(blocks_mapped_bytes(blocks), SIZE);
    fault_arm(FAULT_MAP, 1, FAULT_STICKY);
    CHECK(blocks_get(blocks, SIZE - 1, &held[0]) == 0);
    CHECK_EQ(held[0].size, SIZE - 1);
    CHECK_EQ(budget.bytes_used, SIZE);
    CHECK_EQ(blocks_mapped_bytes(blocks), 0);
    CHECK(blocks_get(blocks, SIZE, &held[1]) == -1);
    CHECK(fault_disarm());

    for (size_t i = 1; i < HELD; i++)
        CHECK(blocks_get(blocks, i % 2 ? 4 * SIZE : SIZE, &held[i]) == 0);
    for (size_t i = 0; i < HELD; i++)
        blocks_put(blocks, &held[i]);
    CHECK(blocks_mapped_bytes(blocks) <= BLOCKS_KEPT_MAPPINGS_BYTES_MAX);
    CHECK_EQ(budget.bytes_used, 0);

    CHECK(blocks_get(blocks, 64 * SIZE, &held[0]) == 0);
    blocks_put(blocks, &held[0]); /* too large to be kept, and takes no other's place */
    CHECK(blocks_mapped_bytes(blocks) >= SIZE);
    blocks_destroy(blocks);
}

CASE(survives_lack_of_memory, "a failed mmap is an error without a leak")
{
    struct budget budget;
    struct blocks *blocks;
    struct block block = {0};

    budget_init(&budget, 1 << 30);
    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    CHECK(!blocks_create(&budget));
    CHECK(fault_disarm());

    blocks = blocks_create(&budget);
    for (size_t i = 0; i < SIZES; i++) {
        fault_arm(FAULT_MAP, 1, FAULT_ONCE);
        if (blocks_get(blocks, sizes[i], &block) == 0)
            CHECK(!fault_disarm());
        else
            CHECK(fault_disarm() && !block.bytes && budget.bytes_used == 0);
        blocks_put(blocks, &block);
    }
    blocks_destroy(blocks);
}

CASE(an_account_has_a_share,
     "an account gets blocks up to its share, and another account still gets some")
{
    static struct block held[400];
    struct budget budget;
    struct account *first, *second;
    struct blocks *blocks;
    struct block block = {0};
    size_t count = 0;

    budget_init(&budget, 64 << 20);
    first = account_open(&budget, NULL);
    second = account_open(&budget, NULL);
    blocks = blocks_create(&budget);
    CHECK(first && second && blocks);
    while (count < 400 &&
           blocks_get_for(blocks, first, TILE_IN_BYTES_MAX, &held[count]) == 0)
        count++;
    CHECK(account_bytes(first) > 40 << 20 && account_bytes(first) < 60 << 20);
    CHECK(blocks_get_for(blocks, second, TILE_IN_BYTES_MAX, &block) == 0);
    blocks_put(blocks, &block);
    for (size_t i = 0; i < count; i++)
        blocks_put(blocks, &held[i]);
    CHECK_EQ(account_bytes(first), 0);
    CHECK_EQ(account_bytes(second), 0);
    CHECK_EQ(budget.bytes_used, 0);
    account_close(first);
    account_close(second);
    blocks_destroy(blocks);
}
