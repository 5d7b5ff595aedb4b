/* SPDX-License-Identifier: Apache-2.0 */
#include <stdalign.h>
#include <string.h>

#include "base/arena.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"

CASE(is_zeroed_and_aligned, "an arena's memory is zeroed and aligned for any type")
{
    struct arena arena;

    arena_init(&arena, 1 << 20);
    for (size_t bytes = 0; bytes < 2000; bytes += 7) {
        unsigned char *at = arena_alloc(&arena, bytes);

        CHECK(at && (uintptr_t)at % alignof(max_align_t) == 0);
        for (size_t i = 0; i < bytes; i++)
            CHECK(at[i] == 0);
        memset(at, 0xff, bytes);
    }
    arena_fini(&arena);
}

CASE(allocations_are_apart, "an arena's allocations do not overlap")
{
    struct arena arena;
    unsigned char *all[200];
    size_t sizes[200];
    uint64_t random = check_seed();

    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < 200; i++) {
        sizes[i] = check_random(&random) % (i % 10 == 0 ? 9000 : 300);
        all[i] = arena_alloc(&arena, sizes[i]);
        CHECK(all[i]);
        memset(all[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            CHECK_EQ(all[i][k], (unsigned char)i);
    arena_fini(&arena);
}

CASE(bound_holds, "an arena never gives more than its bound")
{
    struct arena arena;
    size_t total = 0;

    arena_init(&arena, 1000);
    CHECK(!arena_alloc(&arena, 1001));
    CHECK(!arena_alloc(&arena, SIZE_MAX));
    CHECK(!arena_alloc(&arena, SIZE_MAX - 15));
    CHECK_EQ(arena.bytes_used, 0);
    while (arena_alloc(&arena, 10))
        total += 16;
    CHECK_EQ(total, 992);
    CHECK_EQ(arena.bytes_used, 992);
    arena_fini(&arena);
    CHECK_EQ(arena.bytes_used, 0);
    CHECK(arena_alloc(&arena, 900));
    arena_fini(&arena);

    arena_init(&arena, SIZE_MAX);
    CHECK(!arena_alloc(&arena, SIZE_MAX));
    arena_fini(&arena);
}

CASE(copies_text, "an arena copies text with its NUL")
{
    struct arena arena;

    arena_init(&arena, 64);
    CHECK_STR(arena_strndup(&arena, "layer", 3), "lay");
    CHECK_STR(arena_strndup(&arena, "layer", 50), "layer");
    CHECK_STR(arena_strndup(&arena, "", 0), "");
    CHECK(!arena_strndup(&arena, "0123456789abcdef", 16));
    arena_fini(&arena);
}

/* Small, large, and one that opens a second block; each may be the one refused. */
static bool fill(struct arena *arena)
{
    return arena_alloc(arena, 10) && arena_alloc(arena, 5000) &&
           arena_alloc(arena, 1000) && arena_alloc(arena, 1000) &&
           arena_alloc(arena, 1000) && arena_alloc(arena, 1000) &&
           arena_strndup(arena, "text", 4);
}

CASE(survives_lack_of_memory, "an arena survives a failure of any allocation")
{
    uint64_t n = 0;
    bool filled, failed;

    do {
        struct arena arena;

        arena_init(&arena, 1 << 20);
        fault_arm(FAULT_MEMORY, ++n, FAULT_ONCE);
        filled = fill(&arena);
        failed = fault_disarm();
        CHECK(filled == !failed);
        CHECK(fill(&arena));
        arena_fini(&arena);
    } while (failed);
    CHECK(n >= 3);
}
