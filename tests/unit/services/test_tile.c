/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/tile.h"

#include <string.h>

#include "base/budget.h"
#include "services/ternary/tile_compute.h"
#include "tests/lib/check.h"

enum { BYTES_MAX = 4096 };

/* Projects that many groups of 128 f32 as one tile. Returns whether it needed one block only;
 * `out` gets its output. */
static bool project(size_t groups, bool share, uint8_t *out, size_t *out_bytes)
{
    const struct plan_spec spec = {
        .dtype = TRIT_F32,
        .rank = 2,
        .shape = {groups, 128},
        .in = TRIT_ENCODING_DENSE,
        .out = TRIT_ENCODING_PQ2_0,
        .has_out = true,
    };
    struct task task = {.op = TASK_TERNARIZE, .wants_codes = true, .wants_sums = true};
    struct tile tile = {.pipeline = NULL};
    struct failure failure = {.status = TRIT_OK};
    struct budget budget;
    struct blocks *blocks;
    bool shares;

    budget_init(&budget, 64 << 20);
    blocks = blocks_create(&budget);
    CHECK(blocks);
    task.kernels = kernels_select("portable");
    CHECK(task.kernels);
    CHECK_EQ(plan_init(&task.plan, &spec, &failure), 0);
    plan_tile(&task.plan, 0, &tile.span);
    CHECK_EQ(blocks_get(blocks, (size_t)tile.span.in_bytes, &tile.in), 0);
    for (size_t i = 0; i < tile.span.elements; i++) {
        const float value = (float)(i % 7) - 3;

        memcpy(tile.in.bytes + i * sizeof(value), &value, sizeof(value));
    }
    shares = share && tile_share(&tile, &task);
    CHECK_EQ(tile.shares_in, shares);
    if (!shares)
        CHECK_EQ(tile_prepare(&tile, &task, blocks, NULL), 0);
    tile_compute(&tile, &task);
    tile_trim(&tile, &task, blocks);
    *out_bytes = (size_t)tile.span.out_bytes;
    CHECK(*out_bytes <= BYTES_MAX);
    memcpy(out, tile.out_bytes, *out_bytes);
    tile_release_blocks(&tile, blocks);
    CHECK(!tile.in.bytes && !tile.out.bytes && !tile.side.bytes);
    blocks_destroy(blocks); /* no block is out */
    return shares;
}

CASE(shares, "a small tile needs one block, and gives the same output as with three")
{
    uint8_t shared[BYTES_MAX], apart[BYTES_MAX];
    size_t shared_bytes, apart_bytes;

    CHECK(project(2, true, shared, &shared_bytes));
    CHECK(!project(2, false, apart, &apart_bytes));
    CHECK_EQ(shared_bytes, apart_bytes);
    CHECK_MEM(shared, apart, shared_bytes);
}

CASE(does_not_share,
     "a tile whose output does not fit behind its input gets other blocks")
{
    uint8_t out[BYTES_MAX];
    size_t bytes;

    CHECK(!project(16, true, out, &bytes)); /* the input fills the block */
    CHECK(!project(17, true, out, &bytes)); /* a block of another class */
}
