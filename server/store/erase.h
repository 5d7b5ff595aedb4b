/* SPDX-License-Identifier: Apache-2.0 */
/* Deletes reports with all that belongs to them, and mends the chains. Inside the caller's
 * transaction; after a failure it must be rolled back. */
#ifndef STORE_ERASE_H
#define STORE_ERASE_H

#include "store/stretch.h"

struct health_rules;

enum { ERASE_REPORTS_MAX = STRETCH_REPORTS_MAX }; /* in one call */

/* Deletes reports of consecutive steps: the first ones from `from` to `to`, at most `max`
 * and ERASE_REPORTS_MAX. The layer's row is updated, or deleted with its last report; so
 * is the run's. *deleted: how many.
 *
 * Damaged reports go like others. Those that are missing are not missed any more, as far as
 * later ones name them.
 *
 * The history loses them too: cheaply if they are the layer's oldest, else by reading all
 * reports that are left, with these rules. NULL, for retention: then the history keeps what
 * it has of them, unless the newest report of the layer is among them. */
int erase_reports(struct db *db, struct layer_row *layer, int64_t from, int64_t to,
                  size_t max, const struct health_rules *rules, size_t *deleted,
                  struct failure *failure);

/* Deletes the report that was filed first, damaged or not. *deleted 0: there is none. */
int erase_oldest(struct db *db, size_t *deleted, struct failure *failure);

/* Deletes rows of reports that damage left without a layer: at most ERASE_REPORTS_MAX of those
 * that name this run and layer ("": any). Call it when these are deleted. */
int erase_strays(struct db *db, const char *run, const char *layer, size_t *deleted,
                 struct failure *failure);

/* Deletes the damaged row of a layer, and its history. Its reports are strays then. */
int erase_layer_row(struct db *db, const struct layer_key *key, struct failure *failure);

/* Notes in the totals which sequences were given away, so that none is used again. Call
 * it in a transaction that deletes reports. */
int erase_note_sequence(struct db *db, int64_t sequence, struct failure *failure);

#endif
