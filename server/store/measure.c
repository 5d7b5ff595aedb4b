/* SPDX-License-Identifier: Apache-2.0 */
/* The store's figures in /metrics. */
#include "obs/metrics.h"
#include "store/slots.h"
#include "store/statements.h"
#include "store/store_impl.h"

static uint64_t seconds(int64_t unix_ns)
{
    return unix_ns > 0 ? (uint64_t)unix_ns / 1000000000 : 0;
}

void store_measure(struct store *store)
{
    struct metrics *metrics = store->config.metrics;
    struct db *db = &store->writer.db;
    int64_t page_bytes = statement_number(db, ST_PAGE_BYTES);

    const uint64_t slots = slots_file_bytes(db->slots);

    metric_set(metrics, M_STORE_BYTES,
               (uint64_t)(statement_number(db, ST_PAGES) * page_bytes) + slots);
    metric_set(metrics, M_STORE_FREE_BYTES,
               (uint64_t)(statement_number(db, ST_FREE_PAGES) * page_bytes) + slots -
                   slots_used_bytes(db->slots));
    metric_set(metrics, M_STORE_CODES_BYTES, db->kept > 0 ? (uint64_t)db->kept : 0);
    metric_set(metrics, M_STORE_WAITING,
               db->waiting.layers > 0 ? (uint64_t)db->waiting.layers : 0);
    metric_set(metrics, M_STORE_WAITING_BYTES,
               db->waiting.bytes > 0 ? (uint64_t)db->waiting.bytes : 0);
    for (; db->waiting.over_bytes > 0; db->waiting.over_bytes--)
        metric_limit(metrics, L_SHARDS_BYTES);
    for (; db->waiting.over_count > 0; db->waiting.over_count--)
        metric_limit(metrics, L_SHARDS);
    for (; db->over_attempts > 0; db->over_attempts--)
        metric_limit(metrics, L_ATTEMPTS);
    metric_set(metrics, M_STORE_OLDEST, seconds(statement_number(db, ST_TIME_OLDEST)));
    metric_set(metrics, M_STORE_NEWEST, seconds(statement_number(db, ST_TIME_NEWEST)));
}
