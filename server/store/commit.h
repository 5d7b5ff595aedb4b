/* SPDX-License-Identifier: Apache-2.0 */
/* Commits one report to the tables, inside the batch's transaction. */
#ifndef STORE_COMMIT_H
#define STORE_COMMIT_H

#include "store/upload.h"

struct kernels;

enum commit_outcome { COMMIT_NEW, COMMIT_EXISTED, COMMIT_REFUSED };

/* 0: the outcome is in put->report, put->existed and put->failure, and takes effect
 * when the transaction commits. The upload's codes now belong to the layer, or are
 * deleted.
 * -1 with DATA_LOSS: a stored row is damaged. If db->damaged is set, roll back; else
 * nothing but codes has been written.
 * -1 with another status: storage failed; roll back. */
int commit_report(struct db *db, const struct kernels *kernels, int64_t *next_upload,
                  struct store_put *put, struct codes *codes,
                  enum commit_outcome *outcome, struct failure *failure);

/* "report of run \"r\", layer \"l\", step 7", for messages. */
enum { REPORT_TITLE_BYTES = 2 * TRIT_NAME_BYTES_MAX + 64 };
void report_title(const struct trit_report *report, char title[REPORT_TITLE_BYTES]);

#endif
