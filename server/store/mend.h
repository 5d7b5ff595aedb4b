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

/* Mends the row of one layer. 1: it was made again. 0: it is intact, or there is no such
 * layer. -1: failure. DATA_LOSS: it is damaged and stays so. */
int layer_mend(struct db *db, const struct layer_key *key, struct failure *failure);

/* Deletes a damaged row of this key if no layer has the key: the damage changed it. 1: it was
 * deleted. 0: it was not. -1: failure. */
int layer_drop_stray(struct db *db, const struct layer_key *key, struct failure *failure);

/* Mends the row of one run: as layer_mend. */
int run_mend(struct db *db, const char *run, struct failure *failure);

#endif
