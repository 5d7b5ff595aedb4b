/* SPDX-License-Identifier: Apache-2.0 */
#include "store/layer_link.h"

#include <string.h>

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

int layer_link_out(struct db *db, const struct layer_row *row, bool *last_of_run,
                   struct failure *failure)
{
    struct layer_key after = row->key;
    struct totals_row totals;
    struct layer_row next;

    after.attempt++; /* no key is between these two */
    if (find_layer(db, &after, &next, failure) < 0 || totals_read(db, &totals, failure))
        return -1;
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
