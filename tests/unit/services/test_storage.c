/* SPDX-License-Identifier: Apache-2.0 */
/* What tile_check_storage finds in the scales of a claim. */
#include <math.h>

#include "services/ternary/tile_storage.h"
#include "tests/lib/check.h"

enum { GROUPS = 37 };

static struct task task = {.op = TASK_VERIFY};
static struct tile tile;

static const struct occurrences *check(float *scales)
{
    tile.span.groups = GROUPS;
    tile.scales = scales;
    storage_check_init(&tile.storage);
    tile_check_storage(&tile, &task);
    return &tile.storage.subnormal;
}

static void check_limit(float least)
{
    const float normal[] = {least, -least, 0, -0.0F, 1, -INFINITY, INFINITY, NAN, -NAN};
    float scales[GROUPS];

    for (size_t i = 0; i < GROUPS; i++)
        scales[i] = normal[i % (sizeof(normal) / sizeof(normal[0]))];
    CHECK_EQ(check(scales)->count, 0);
    for (size_t i = 0; i < GROUPS; i++) {
        const float before = scales[i];

        scales[i] = i % 2 ? nextafterf(least, 0) : -0x1p-149F;
        CHECK_EQ(check(scales)->count, 1);
        CHECK_EQ(tile.storage.subnormal.first, i);
        CHECK(tile.storage.first_subnormal == scales[i]);
        scales[i] = before;
    }
}

CASE(subnormal, "one subnormal scale is found at any place, and none where there is none")
{
    task.plan.spec.in = TRIT_ENCODING_PQ2_0; /* f16 */
    check_limit(0x1p-14F);
    task.plan.spec.in = TRIT_ENCODING_DENSE;
    task.plan.spec.dtype = TRIT_F32;
    check_limit(0x1p-126F);
}
