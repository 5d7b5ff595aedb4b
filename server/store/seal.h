/* SPDX-License-Identifier: Apache-2.0 */
/* Step 2 of the schema: rows of older daemons get their CRCs and neighbours. */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include "base/status.h"

struct db;

/* In the step's transaction, once its columns are there. What the rows hold is taken
 * as it is. */
int seal_rows(struct db *db, struct failure *failure);

#endif
