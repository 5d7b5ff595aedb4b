/* SPDX-License-Identifier: Apache-2.0 */
/* Step 2 of the schema: rows of version 1 get their CRCs and neighbours. */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include "base/status.h"

struct db;

/* Runs in the step's transaction, after its columns were added. The content of the rows
 * is taken as it is. */
int seal_rows(struct db *db, struct failure *failure);

#endif
