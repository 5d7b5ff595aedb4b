/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "obs/metrics.h"
#include "store/row_cache.h"
#include "tests/lib/check.h"
#include "tests/lib/store_damaged.h"
#include "tests/lib/store_sql.h"

struct row {
    int key, value;
};

static int is(const void *row, const void *key)
{
    return ((const struct row *)row)->key == *(const int *)key;
}

static void put(struct row_cache *cache, uint32_t hash, int key, int value)
{
    const struct row row = {key, value};

    row_cache_put(cache, CACHED_LAYER, hash, is, &key, &row, sizeof(row));
}

/* The value, or -1. */
static int find(struct row_cache *cache, uint32_t hash, int key)
{
    const struct row *row = row_cache_find(cache, CACHED_LAYER, hash, is, &key);

    return row ? row->value : -1;
}

CASE(a_row, "a row is found as it was put last, until it is dropped")
{
    struct row_cache *cache = row_cache_create();
    int key = 7;

    CHECK_EQ(find(cache, 1, key), -1);
    put(cache, 1, key, 10);
    put(cache, 1, 8, 20); /* of the same hash */
    CHECK_EQ(find(cache, 1, key), 10);
    CHECK_EQ(find(cache, 1, 8), 20);
    CHECK_EQ(find(cache, 2, key), -1);
    put(cache, 1, key, 11);
    CHECK_EQ(find(cache, 1, key), 11);
    CHECK(!row_cache_find(cache, CACHED_PAST, 1, is, &key));
    row_cache_drop(cache, CACHED_LAYER, 1, is, &key);
    CHECK_EQ(find(cache, 1, key), -1);
    CHECK_EQ(find(cache, 1, 8), 20);
    row_cache_clear(cache);
    CHECK_EQ(find(cache, 1, 8), -1);
    row_cache_destroy(cache);
}

static int note_value(void *arg, const void *row)
{
    struct row_cache *cache = arg;
    const struct row *found = row;

    put(cache, (uint32_t)found->key % 2, found->key, found->value + 1);
    return found->key == 9;
}

CASE(walk, "a walk visits each row of a kind once, and ends where a visit says so")
{
    struct row_cache *cache = row_cache_create();

    for (int key = 0; key < 6; key++)
        put(cache, (uint32_t)key % 2, key, 10 * key);
    CHECK_EQ(row_cache_walk(cache, CACHED_LAYER, note_value, cache), 0);
    for (int key = 0; key < 6; key++)
        CHECK_EQ(find(cache, (uint32_t)key % 2, key), 10 * key + 1);
    put(cache, 1, 9, 0);
    CHECK_EQ(row_cache_walk(cache, CACHED_LAYER, note_value, cache), 1);
    CHECK_EQ(row_cache_walk(NULL, CACHED_LAYER, note_value, NULL), 0);
    row_cache_destroy(cache);
}

CASE(full, "a full cache drops the row that was not used for longest")
{
    struct row_cache *cache = row_cache_create();

    for (int key = 0; key < 4; key++)
        put(cache, 5, key, key);
    CHECK_EQ(find(cache, 5, 0), 0);
    put(cache, 5, 4, 4);
    CHECK_EQ(find(cache, 5, 1), -1);
    CHECK_EQ(find(cache, 5, 0), 0);
    CHECK_EQ(find(cache, 5, 4), 4);
    row_cache_destroy(cache);
}

CASE(none, "without a cache nothing is found, and nothing fails")
{
    int key = 1;

    row_cache_put(NULL, CACHED_RUN, 1, is, &key, &key, sizeof(key));
    row_cache_drop(NULL, CACHED_RUN, 1, is, &key);
    row_cache_clear(NULL);
    CHECK_EQ(find(NULL, 1, 1), -1);
    row_cache_destroy(NULL);
}

CASE(changed,
     "what another program changes is read again, also a row that the writer knows")
{
    struct store_fixture fixture;
    struct failure failure = {0};

    damaged_build(&fixture, "SELECT 0");
    CHECK_EQ(damaged_file(&fixture, "a", "x", 40, true, &failure), TRIT_OK);
    store_sql(&fixture, "UPDATE layers SET reports = reports + 1 WHERE run = 'a'"
                        " AND layer = 'x'");
    CHECK_EQ(damaged_file(&fixture, "a", "x", 50, true, &failure), TRIT_OK);
    /* The writer met the damage, and made the row again. */
    CHECK_EQ(metric_get(fixture.metrics, M_STORE_FAILURES), 1);
    CHECK_EQ(store_sql(&fixture, "SELECT reports FROM layers WHERE run = 'a'"
                                 " AND layer = 'x'"),
             5);
    store_fixture_fini(&fixture);
}
