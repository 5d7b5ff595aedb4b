/* SPDX-License-Identifier: Apache-2.0 */
#include "store/row_cache.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 4, SETS_MAX = 1024 };

/* How many sets a kind has: a run's row is large, and there are few. */
static const uint32_t sets_of[CACHED_KINDS] = {
    [CACHED_LAYER] = SETS_MAX, [CACHED_PAST] = SETS_MAX, [CACHED_RUN] = 4};

struct slot {
    uint32_t hash;
    bool used;
    void *row; /* its memory stays when the row is dropped */
};

/* The ways of a set are in the order of their last use. */
struct row_cache {
    struct slot slots[CACHED_KINDS][SETS_MAX][WAYS];
};

struct row_cache *row_cache_create(void)
{
    return calloc(1, sizeof(struct row_cache));
}

void row_cache_destroy(struct row_cache *cache)
{
    if (!cache)
        return;
    for (size_t kind = 0; kind < CACHED_KINDS; kind++)
        for (size_t set = 0; set < sets_of[kind]; set++)
            for (size_t way = 0; way < WAYS; way++)
                free(cache->slots[kind][set][way].row);
    free(cache);
}

static void move_to_front(struct slot *set, size_t way)
{
    const struct slot moved = set[way];

    memmove(set + 1, set, way * sizeof(set[0]));
    set[0] = moved;
}

void *row_cache_find(struct row_cache *cache, enum row_cache_kind kind, uint32_t hash,
                     int (*is)(const void *row, const void *key), const void *key)
{
    if (!cache)
        return NULL;
    struct slot *set = cache->slots[kind][hash % sets_of[kind]];

    for (size_t way = 0; way < WAYS; way++) {
        if (!set[way].used || set[way].hash != hash || !is(set[way].row, key))
            continue;
        move_to_front(set, way);
        return set[0].row;
    }
    return NULL;
}

void row_cache_put(struct row_cache *cache, enum row_cache_kind kind, uint32_t hash,
                   int (*is)(const void *row, const void *key), const void *key,
                   const void *row, size_t bytes)
{
    if (!cache)
        return;
    struct slot *set = cache->slots[kind][hash % sets_of[kind]];

    if (!row_cache_find(cache, kind, hash, is, key))
        move_to_front(set, WAYS - 1);
    if (!set[0].row)
        set[0].row = malloc(bytes);
    set[0].used = set[0].row != NULL;
    set[0].hash = hash;
    if (set[0].row)
        memcpy(set[0].row, row, bytes);
}

void row_cache_drop(struct row_cache *cache, enum row_cache_kind kind, uint32_t hash,
                    int (*is)(const void *row, const void *key), const void *key)
{
    if (row_cache_find(cache, kind, hash, is, key))
        cache->slots[kind][hash % sets_of[kind]][0].used = false;
}

int row_cache_walk(struct row_cache *cache, enum row_cache_kind kind,
                   int (*visit)(void *arg, const void *row), void *arg)
{
    int result = 0;

    if (!cache)
        return 0;
    /* A row that is put again moves to the front; those behind it stay in their places. */
    for (size_t set = 0; set < sets_of[kind] && result == 0; set++)
        for (size_t way = 0; way < WAYS && result == 0; way++)
            if (cache->slots[kind][set][way].used)
                result = visit(arg, cache->slots[kind][set][way].row);
    return result;
}

void row_cache_clear(struct row_cache *cache)
{
    if (!cache)
        return;
    for (size_t kind = 0; kind < CACHED_KINDS; kind++)
        for (size_t set = 0; set < sets_of[kind]; set++)
            for (size_t way = 0; way < WAYS; way++)
                cache->slots[kind][set][way].used = false;
}
