/* SPDX-License-Identifier: Apache-2.0 */
#include "store/layer_link.h"

#include <string.h>

#include "store/scan.h"
#include "store/statements.h"
#include "store/walk.h"

int layer_find_or_gap(struct db *db, const struct layer_key *key, struct layer_row *row,
                      struct layer_gap *gap, struct failure *failure)
{
    int found = find_layer(db, key, row, failure);

    if (found != 0)
        return found;
    if (totals_read(db, &gap->totals, failure))
        return -1;
    gap->next = *row;
    *row = (struct layer_row){.key = *key,
                              .previous = gap->next.previous,
                              .step_min = STEP_NONE,
                              .step_max = STEP_NONE};
    return 0;
}

int layer_link_in(struct db *db, const struct layer_row *row, struct layer_gap *gap,
                  struct failure *failure)
{
    struct layer_row *next = &gap->next;

    if (layer_row_insert(db, row, failure))
        return -1;
    gap->totals.layers++;
    if (next->key.run[0] == '\0') {
        gap->totals.last = row->key;
    } else {
        next->previous = row->key;
        if (layer_row_update(db, next, failure))
            return -1;
    }
    return totals_put(db, &gap->totals, failure);
}

int layer_drop(struct db *db, const struct layer_key *key, struct failure *failure)
{
    struct layer_key after = *key, before;
    struct layer_row next;
    struct totals_row totals;

    after.attempt++;
    if (scan_layer_before(db, key, &before, failure) ||
        layer_row_delete(db, key, failure))
        return -1;
    if (totals_read(db, &totals, failure) == 0) {
        totals.layers--;
        if (layer_key_compare(&totals.last, key) == 0)
            totals.last = before;
        if (totals_put(db, &totals, failure))
            return -1;
    } else if (!damage_is_of_rows(db, failure)) {
        return -1;
    }
    if (scan_layer(db, &after, &next, failure))
        return -1;
    if (next.key.run[0] == '\0' || layer_key_compare(&next.previous, key) != 0)
        return 0;
    next.previous = before;
    return layer_row_update(db, &next, failure);
}

/* The row after it is damaged, or the totals are. */
static int link_out_damaged(struct db *db, const struct layer_row *row, bool *last_of_run,
                            struct failure *failure)
{
    struct layer_key after = row->key;

    after.attempt++;
    if (scan_layer_key(db, &after, &after, failure))
        return -1;
    *last_of_run = strcmp(row->previous.run, row->key.run) != 0 &&
                   strcmp(after.run, row->key.run) != 0;
    return layer_drop(db, &row->key, failure);
}

int layer_link_out(struct db *db, const struct layer_row *row, bool *last_of_run,
                   struct failure *failure)
{
    struct layer_key after = row->key;
    struct totals_row totals;
    struct layer_row next;

    after.attempt++; /* no key is between these two */
    if (find_layer(db, &after, &next, failure) < 0 || totals_read(db, &totals, failure))
        return damage_is_of_rows(db, failure)
                   ? link_out_damaged(db, row, last_of_run, failure)
                   : -1;
    *last_of_run = strcmp(row->previous.run, row->key.run) != 0 &&
                   strcmp(next.key.run, row->key.run) != 0;
    totals.layers--;
    if (next.key.run[0] == '\0') {
        totals.last = row->previous;
    } else {
        next.previous = row->previous;
        if (layer_row_update(db, &next, failure))
            return -1;
    }
    return layer_row_delete(db, &row->key, failure) || totals_put(db, &totals, failure)
               ? -1
               : 0;
}
