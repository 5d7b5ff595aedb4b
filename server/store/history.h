/* SPDX-License-Identifier: Apache-2.0 */
/* The history of a run's layers, for heat maps and plots. It is read from summaries that
 * are kept while reports are filed, not from the reports: a thousand layers with ten
 * thousand reports each answer in less than a second.
 *
 * A summary of one report has exactly its numbers. One of several reports has the mean of
 * zero_fraction, flips, flip_fraction and scale_mean, the smallest scale_min and sqnr_db,
 * the scale_drift that is farthest from 1, the largest of the others, and the worst
 * health. */
#ifndef STORE_HISTORY_H
#define STORE_HISTORY_H

#include "store/history_types.h"
#include "store/store.h"

/* Reads the columns of a query. The caller frees *history with store_history_fini, also
 * after a failure. Where more than HISTORY_EXACT_REPORTS_MAX reports are concerned, a
 * summary that reaches over the edge of a column counts for the column where it begins; it
 * spans at most half of a column. NOT_FOUND: there is no such run. INVALID_ARGUMENT:
 * `attempt`. RESOURCE_EXHAUSTED: the answer is too large. DATA_LOSS. */
struct store_reader;
int store_read_history(struct store_reader *reader,
                       const struct store_history_query *query,
                       struct store_history *history, struct failure *failure);
void store_history_fini(struct store_history *history);

#endif
