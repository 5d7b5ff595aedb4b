/* SPDX-License-Identifier: Apache-2.0 */
/* Makes damaged or missing rows of the tables of layers and runs again from the reports.
 *
 * All that a layer's row has follows from its reports, if none of them is missing. That the
 * newest is not missing has to be shown: by the checksum of the damaged row, which is that of
 * the row that was made; or by two values of the damaged row, or the layer's past, that name
 * the same newest report. That the layer is one is shown by the row after it, which names it.
 * A run's row can be made again only if nothing but its checksum or state is damaged, or if
 * its checksum says that it had one attempt. What cannot be shown stays damaged.
 *
 * Inside the caller's transaction. */
#ifndef STORE_MEND_H
#define STORE_MEND_H

#include "store/row.h"

/* Fills what a layer's row has of its newest report: this step. DATA_LOSS: it is damaged or
 * missing, and the layer's row has no tensor to which flips could be counted. */
int layer_take_newest(struct db *db, struct layer_row *layer, int64_t step,
                      struct failure *failure);

/* When rows were last mended. Mending reads all keys, and puts wait meanwhile. So the pause
 * until the next time is ten times as long if nothing could be mended. All zero: never. */
struct mend_turn {
    uint64_t last_ns; /* monotonic */
    bool in_vain;
};

/* A put has met this damage. True: some rows were mended. Once a second at most. */
bool mend_met(struct db *db, const struct failure *damage, struct mend_turn *turn,
              uint64_t now_ns);

/* A reader has met damage. True: its rows are to be mended now, and the caller sets
 * turn->in_vain. Once a minute at most. */
bool mend_asked(struct mend_turn *turn, uint64_t now_ns);

/* Mends all rows that can be mended: how many, or -1. */
int layers_mend(struct db *db, struct failure *failure);

#endif
