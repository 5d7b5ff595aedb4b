/* SPDX-License-Identifier: Apache-2.0 */
/* A worker leaves the tile of a cancelled call after the step that it is at: what the
 * kernels compute is counted, and the first of them cancels. */
#include <string.h>

#include "base/budget.h"
#include "kernels/ternary/table.h"
#include "services/ternary/tile_compute.h"
#include "services/ternary/tile_pieces.h"
#include "tests/lib/check.h"

enum { ROWS = 4096, COLUMNS = 1024, ELEMENTS = ROWS * COLUMNS };

static const struct kernels *real;
static struct kernels counting;
static _Atomic bool cancelled;
static bool cancels_verify, cancels_ternarize;
static uint64_t verified, ternarized; /* elements */

static void verify_counted(verify_fn *function, const struct verify_job *job,
                           struct ternary_counts *counts, struct ternary_check *check)
{
    verified += job->count * job->group_len;
    function(job, counts, check);
    if (cancels_verify)
        atomic_store(&cancelled, true);
}

static void verify_dense(const struct verify_job *job, struct ternary_counts *counts,
                         struct ternary_check *check)
{
    verify_counted(real->verify_dense[TRIT_F32], job, counts, check);
}

static void verify_packed(const struct verify_job *job, struct ternary_counts *counts,
                          struct ternary_check *check)
{
    verify_counted(real->verify_packed, job, counts, check);
}

static void ternarize_f32(const struct ternarize_job *job, struct ternary_counts *counts)
{
    ternarized += job->count * job->group_len;
    real->ternarize[TRIT_F32](job, counts);
    if (cancels_ternarize)
        atomic_store(&cancelled, true);
}

static void count_kernels(bool verify_cancels, bool ternarize_cancels)
{
    real = kernels_select("portable");
    counting = *real;
    counting.verify_dense[TRIT_F32] = verify_dense;
    counting.verify_packed = verify_packed;
    counting.ternarize[TRIT_F32] = ternarize_f32;
    cancels_verify = verify_cancels;
    cancels_ternarize = ternarize_cancels;
    verified = ternarized = 0;
    atomic_store(&cancelled, false);
}

/* Computes the one tile of a task with zeros as input. */
static void compute(const struct plan_spec *spec, struct task *task)
{
    struct budget budget;
    struct blocks *blocks;
    struct failure failure = {0};
    struct tile tile = {0};

    budget_init(&budget, 256 << 20);
    blocks = blocks_create(&budget);
    task->kernels = &counting;
    task->cancelled = &cancelled;
    task->wants_codes = true;
    CHECK(blocks);
    CHECK_EQ(plan_init(&task->plan, spec, &failure), 0);
    CHECK_EQ(task->plan.tiles, 1);
    plan_tile(&task->plan, 0, &tile.span);
    CHECK_EQ(blocks_get(blocks, (size_t)tile.span.in_bytes, &tile.in), 0);
    memset(tile.in.bytes, 0, tile.in.size);
    CHECK_EQ(tile_prepare(&tile, task, blocks, NULL), 0);
    tile_compute(&tile, task);
    tile_release_blocks(&tile, blocks);
    blocks_destroy(blocks);
}

/* Dense zeros, whose groups all fit the one scale of the output. */
static void pack_zeros(void)
{
    const struct plan_spec spec = {
        .dtype = TRIT_F32,
        .rank = 2,
        .shape = {ROWS, COLUMNS},
        .in = TRIT_ENCODING_DENSE,
        .out = TRIT_ENCODING_I2_S,
        .has_out = true,
        .regroups = true,
    };
    struct task task = {.op = TASK_PACK};

    compute(&spec, &task);
}

CASE(pack_reads, "packing a tensor stops after its one group is read")
{
    count_kernels(false, false);
    pack_zeros();
    CHECK_EQ(verified, ELEMENTS);
    CHECK_EQ(ternarized, ELEMENTS);
    count_kernels(true, false);
    pack_zeros();
    CHECK_EQ(verified, ELEMENTS);
    CHECK_EQ(ternarized, 0);
}

CASE(pack_writes, "packing a tensor stops after the first elements that are encoded")
{
    count_kernels(false, true);
    pack_zeros();
    CHECK_EQ(verified, ELEMENTS);
    CHECK(ternarized > 0 && ternarized <= PIECE_ELEMENTS);
}

CASE(verifies, "a verification of a claim with one scale stops after a piece")
{
    const struct plan_spec spec = {
        .dtype = TRIT_F32, .rank = 2, .shape = {ROWS, COLUMNS}, .in = TRIT_ENCODING_I2_S};
    struct task task = {.op = TASK_VERIFY, .in_pieces = true};

    count_kernels(true, false);
    compute(&spec, &task);
    CHECK_EQ(verified, PIECE_ELEMENTS);
}

CASE(never_begins, "a tile that was cancelled before it began is not computed")
{
    count_kernels(false, false);
    atomic_store(&cancelled, true);
    pack_zeros();
    CHECK_EQ(verified + ternarized, 0);
}
