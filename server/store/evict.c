/* SPDX-License-Identifier: Apache-2.0 */
#include "store/evict.h"

#include "store/statements.h"
#include "store/walk.h"

enum { EVICT_ROWS_MAX = 512 }; /* of one step */

bool evict_due(const struct evict *evict, const struct db *db)
{
    int64_t stays = evict->floor + evict->floor / 8;

    return db->kept > (stays > evict->max ? stays : evict->max);
}

void evict_failed(struct evict *evict, const struct db *db)
{
    evict->floor = db->kept;
}

/* Reads the next rows from the place where the last step ended. */
static int read_rows(struct db *db, int64_t from, struct kept_row *rows, size_t *count,
                     struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_KEPT_FROM, failure);
    int found = -1;

    *count = 0;
    if (!select)
        return -1;
    db_bind_i64(select, 1, from);
    while (*count < EVICT_ROWS_MAX && (found = db_step(db, select, failure)) == 1) {
        if (kept_row_read(select, &rows[*count], failure)) {
            if (damage_is_of_rows(db, failure))
                continue;
            found = -1;
            break;
        }
        ++*count;
    }
    db_reset(select);
    return found < 0 ? -1 : 0;
}

/* Whether a later attempt has reports of the same layer and replica. */
static int has_later(struct db *db, const struct layer_row *layer,
                     struct failure *failure)
{
    struct layer_key after = layer->key;
    struct layer_row next;

    after.attempt++;
    if (find_layer(db, &after, &next, failure) < 0)
        return -1;
    return layer_key_same_replica(&next.key, &layer->key);
}

/* Deletes what is kept of a report, unless it is the newest of its layer. What belongs to a
 * damaged report stays: it must not keep all others. */
static int evict_row(struct db *db, const struct kept_row *row, struct failure *failure)
{
    struct layer_row layer;
    int64_t step;
    int found = find_filed(db, ST_REPORT_AT, row->sequence, &layer, &step, failure);

    if (found < 0)
        return damage_is_of_rows(db, failure) ? 0 : -1;
    if (found == 1 && layer.upload == row->upload) {
        int later = has_later(db, &layer, failure);

        if (later < 0)
            return damage_is_of_rows(db, failure) ? 0 : -1;
        if (later == 0)
            return 0;
        layer.upload = 0;
        if (layer_row_update(db, &layer, failure))
            return -1;
    }
    return kept_release(db, row->sequence, failure);
}

int evict_step(struct db *db, struct evict *evict, struct failure *failure)
{
    struct kept_row rows[EVICT_ROWS_MAX];
    size_t count;

    if (read_rows(db, evict->from, rows, &count, failure))
        return -1;
    for (size_t i = 0; i < count && db->kept > evict->max; i++) {
        if (evict_row(db, &rows[i], failure))
            return -1;
        evict->from = rows[i].upload + 1;
    }
    if (db->kept <= evict->max) {
        evict->floor = 0;
    } else if (count < EVICT_ROWS_MAX) {
        /* A search that began in the middle goes on at the begin: what was the newest
         * when an earlier one came by may not be it any more. */
        evict->floor = evict->from_middle ? 0 : db->kept;
        evict->from_middle = false;
        evict->from = 0;
        return evict->floor == 0;
    }
    evict->from_middle = evict->from_middle || db->kept <= evict->max;
    return db->kept > evict->max;
}
