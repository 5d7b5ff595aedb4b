/* SPDX-License-Identifier: Apache-2.0 */
/* Commits one report to the tables, inside the batch's transaction. */
#ifndef STORE_COMMIT_H
#define STORE_COMMIT_H

#include "store/commit_steps.h"

struct health_rules;
struct kernels;

/* 0: the outcome is in put->report, put->existed and put->failure, and takes effect
 * when the transaction commits. The upload's codes now belong to the layer, or are
 * deleted.
 * -1 with DATA_LOSS: a stored row is damaged. If db->damaged is set, roll back; else
 * nothing but codes has been written.
 * -1 with another status: storage failed; roll back. */
int commit_report(struct db *db, const struct kernels *kernels, struct counters *next,
                  const struct health_rules *rules, struct store_put *put,
                  struct codes *codes, struct codes *scales, enum commit_outcome *outcome,
                  struct failure *failure);

#endif
