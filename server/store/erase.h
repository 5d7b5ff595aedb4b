/* SPDX-License-Identifier: Apache-2.0 */
/* Deletes reports with all that belongs to them, and mends the chains. Inside the caller's
 * transaction; after a failure it must be rolled back. */
#ifndef STORE_ERASE_H
#define STORE_ERASE_H

#include "store/row.h"

struct health_rules;

enum { ERASE_REPORTS_MAX = 256 }; /* in one call */

/* Deletes reports of consecutive steps: the first ones from `from` to `to`, at most `max`
 * and ERASE_REPORTS_MAX. The layer's row is updated, or deleted with its last report; so
 * is the run's. *deleted: how many; 0: there are none.
 *
 * The history loses them too: cheaply if they are the layer's oldest, else by reading all
 * reports that are left, with these rules. NULL, for thinning: then the history keeps what
 * it has of them. The newest report of a layer may not be deleted with NULL. */
int erase_reports(struct db *db, struct layer_row *layer, int64_t from, int64_t to,
                  size_t max, const struct health_rules *rules, size_t *deleted,
                  struct failure *failure);

/* Notes in the totals which sequences were given away, so that none is used again. Call
 * it in a transaction that deletes reports. */
int erase_note_sequence(struct db *db, int64_t sequence, struct failure *failure);

#endif
