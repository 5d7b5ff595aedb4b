/* SPDX-License-Identifier: Apache-2.0 */
/* What one commit does to the tables, inside the batch's transaction. */
#ifndef STORE_FILING_H
#define STORE_FILING_H

#include "store/upload.h"

struct kernels;

enum filing { FILING_NEW, FILING_EXISTED, FILING_REFUSED };

/* 0: put->report, put->existed and put->failure say what came of it, provided
 * that the transaction commits; the upload's codes are the layer's, or removed.
 * -1: DATA_LOSS where what is stored is damaged; it has written nothing but codes
 * then, unless db->damaged is set: roll back. Else storage failed: roll back. */
int filing_commit(struct db *db, const struct kernels *kernels, int64_t *next_upload,
                  struct store_put *put, struct codes *codes, enum filing *filing,
                  struct failure *failure);

/* "report of run \"r\", layer \"l\", step 7", for messages. */
enum { REPORT_TITLE_BYTES = 2 * TRIT_NAME_BYTES_MAX + 64 };
void report_title(const struct trit_report *report, char title[REPORT_TITLE_BYTES]);

#endif
