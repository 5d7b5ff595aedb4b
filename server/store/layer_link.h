/* SPDX-License-Identifier: Apache-2.0 */
/* Adds and removes rows of the table of layers, which form one chain, and keeps the
 * totals. Inside the caller's transaction. */
#ifndef STORE_LAYER_LINK_H
#define STORE_LAYER_LINK_H

#include "store/row.h"

/* Where a new row goes: what find_layer gave when it did not find the layer. */
struct layer_gap {
    struct layer_row next; /* without a key: there is none */
    struct totals_row totals;
};

/* Finds a layer. 1: *row is the layer. 0: it does not exist; *row has its key and the
 * layer before it, and *gap is where it goes. -1: failure. */
int layer_find_or_gap(struct db *db, const struct layer_key *key, struct layer_row *row,
                      struct layer_gap *gap, struct failure *failure);

/* Inserts a new row into its gap. */
int layer_link_in(struct db *db, const struct layer_row *row, struct layer_gap *gap,
                  struct failure *failure);

/* Deletes a row. *last_of_run: its run has no other row. */
int layer_link_out(struct db *db, const struct layer_row *row, bool *last_of_run,
                   struct failure *failure);

/* Deletes a damaged row. What its neighbours say is put right as far as they are intact. */
int layer_drop(struct db *db, const struct layer_key *key, struct failure *failure);

#endif
