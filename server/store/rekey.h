/* SPDX-License-Identifier: Apache-2.0 */
/* Step 3 of the schema: keys get attempts and replicas. */
#ifndef STORE_REKEY_H
#define STORE_REKEY_H

#include "base/status.h"

struct db;

/* The SQL copies the rows of version 2 as they are, with their CRCs, as attempt 1 and
 * replica 0. What was damaged stays damaged. */
extern const char rekey_sql[];

/* Then this gives each run its row, and the codes that are kept theirs. */
int rekey_rows(struct db *db, struct failure *failure);

#endif
