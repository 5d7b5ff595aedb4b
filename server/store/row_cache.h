/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that the writer has read or written, in memory: the next report of a layer needs
 * the same ones again. Each function that reads or writes such a row keeps the cache in
 * step with the database. A rollback, or a write by another connection, empties it.
 *
 * Readers have no cache. Each function accepts NULL, and then does nothing. */
#ifndef STORE_ROW_CACHE_H
#define STORE_ROW_CACHE_H

#include <stddef.h>
#include <stdint.h>

enum row_cache_kind { CACHED_LAYER, CACHED_PAST, CACHED_RUN, CACHED_KINDS };

struct row_cache;

/* NULL: no memory. It takes memory as rows come, at most 22 MiB. */
struct row_cache *row_cache_create(void);
void row_cache_destroy(struct row_cache *cache);

/* The row with this hash for which `is` returns nonzero; NULL: there is none. It stays until
 * the next call. */
void *row_cache_find(struct row_cache *cache, enum row_cache_kind kind, uint32_t hash,
                     int (*is)(const void *row, const void *key), const void *key);

/* Replaces what row_cache_find would return, or else what was not used for long. */
void row_cache_put(struct row_cache *cache, enum row_cache_kind kind, uint32_t hash,
                   int (*is)(const void *row, const void *key), const void *key,
                   const void *row, size_t bytes);

void row_cache_drop(struct row_cache *cache, enum row_cache_kind kind, uint32_t hash,
                    int (*is)(const void *row, const void *key), const void *key);
void row_cache_clear(struct row_cache *cache);

/* Visits all rows of a kind until `visit` returns nonzero, and returns that. A visit may put
 * its own row again. */
int row_cache_walk(struct row_cache *cache, enum row_cache_kind kind,
                   int (*visit)(void *arg, const void *row), void *arg);

#endif
