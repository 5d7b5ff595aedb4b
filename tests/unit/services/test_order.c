/* SPDX-License-Identifier: Apache-2.0 */
/* Workers merge tiles in tile order, whichever they compute first. */
#include "services/ternary/order.h"

#include <pthread.h>
#include <stdlib.h>

#include "tests/lib/check.h"

enum { TILES = 400, GROUPS = 7, WORKERS = 4 };

static float scales[TILES][GROUPS];
static struct tile tiles[TILES];
static const struct task task = {.op = TASK_TERNARIZE};

/* Sums of such scales depend on their order. */
static void make_tiles(uint64_t seed)
{
    for (size_t i = 0; i < TILES; i++) {
        tiles[i] = (struct tile){.scales = scales[i]};
        tiles[i].span.index = i;
        tiles[i].span.groups = GROUPS;
        tile_results_init(&tiles[i]);
        for (size_t group = 0; group < GROUPS; group++)
            scales[i][group] = (float)(check_random(&seed) >> (check_random(&seed) % 40));
    }
}

static void merge_begin(struct merge *merge)
{
    struct failure failure = {.status = TRIT_OK};

    CHECK_EQ(merge_init(merge, false, &failure), 0);
}

static void shuffle(size_t at[TILES], uint64_t seed)
{
    for (size_t i = 0; i < TILES; i++)
        at[i] = i;
    for (size_t i = TILES - 1; i > 0; i--) {
        const size_t other = check_random(&seed) % (i + 1), moved = at[i];

        at[i] = at[other];
        at[other] = moved;
    }
}

struct worker {
    pthread_t thread;
    struct order *order;
    struct merge *merge;
    const size_t *computed;
    size_t first;
};

static void *work(void *arg)
{
    const struct worker *worker = arg;

    for (size_t i = worker->first; i < TILES; i += WORKERS)
        order_take(worker->order, worker->merge, &task, &tiles[worker->computed[i]]);
    return NULL;
}

CASE(in_order,
     "workers that compute tiles in any order merge them in tile order, each once")
{
    struct merge expected, merge;
    struct worker workers[WORKERS];
    struct order order;
    size_t computed[TILES];

    make_tiles(check_seed());
    shuffle(computed, check_seed());
    merge_begin(&expected);
    for (size_t i = 0; i < TILES; i++)
        merge_tile(&expected, &task, &tiles[i]);
    merge_begin(&merge);
    order_init(&order, TILES);
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){
            .order = &order, .merge = &merge, .computed = computed, .first = i};
        CHECK_EQ(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    CHECK_EQ(merge.groups, TILES * GROUPS);
    CHECK_MEM(&merge.scale_sum, &expected.scale_sum, sizeof(merge.scale_sum));
    for (size_t i = 0; i < TILES; i++)
        CHECK(tiles[i].merged);
    CHECK(!order_current(&order));
    order_fini(&order);
}

CASE(waits, "a tile waits until those before it are merged")
{
    struct merge merge;
    struct order order;

    make_tiles(1);
    merge_begin(&merge);
    order_init(&order, TILES);
    order_take(&order, &merge, &task, &tiles[2]);
    order_take(&order, &merge, &task, &tiles[1]);
    CHECK_EQ(merge.groups, 0);
    CHECK(!tiles[1].merged && !tiles[2].merged);
    order_take(&order, &merge, &task, &tiles[0]);
    CHECK_EQ(merge.groups, 3 * GROUPS);
    CHECK(tiles[0].merged && tiles[1].merged && tiles[2].merged);
    order_fini(&order);
}

CASE(stops, "after a stop no tile is merged, and none waits")
{
    struct merge merge;
    struct order order;

    make_tiles(1);
    merge_begin(&merge);
    order_init(&order, TILES);
    order_take(&order, &merge, &task, &tiles[1]);
    order_stop(&order);
    CHECK(list_empty(&order.waiting));
    order_take(&order, &merge, &task, &tiles[0]);
    CHECK_EQ(merge.groups, 0);
    CHECK(!tiles[0].merged && list_empty(&order.waiting));
    order_fini(&order);
}
