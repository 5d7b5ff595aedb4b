/* SPDX-License-Identifier: Apache-2.0 */
/* The store's figures in /metrics. */
#include "obs/metrics.h"
#include "store/statements.h"
#include "store/store_impl.h"

static int64_t number(struct db *db, enum statement_id id)
{
    sqlite3_stmt *select = statement(db, id, NULL);
    int64_t value = 0;

    if (select && db_step(db, select, NULL) == 1)
        value = sqlite3_column_int64(select, 0);
    if (select)
        db_reset(select);
    return value;
}

static uint64_t seconds(int64_t unix_ns)
{
    return unix_ns > 0 ? (uint64_t)unix_ns / 1000000000 : 0;
}

void store_measure(struct store *store)
{
    struct metrics *metrics = store->config.metrics;
    struct db *db = &store->writer.db;
    int64_t page_bytes = number(db, ST_PAGE_BYTES);

    metric_set(metrics, M_STORE_BYTES, (uint64_t)(number(db, ST_PAGES) * page_bytes));
    metric_set(metrics, M_STORE_FREE_BYTES,
               (uint64_t)(number(db, ST_FREE_PAGES) * page_bytes));
    metric_set(metrics, M_STORE_CODES_BYTES, db->kept > 0 ? (uint64_t)db->kept : 0);
    metric_set(metrics, M_STORE_OLDEST, seconds(number(db, ST_TIME_OLDEST)));
    metric_set(metrics, M_STORE_NEWEST, seconds(number(db, ST_TIME_NEWEST)));
}
