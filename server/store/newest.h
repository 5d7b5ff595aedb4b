/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the newest report that was acknowledged is in the database. A log that was emptied
 * after a kill, or a database of an older copy, leaves a store that is whole but older: no
 * checksum finds that. The lock file has the number of that report (directory.h). */
#ifndef STORE_NEWEST_H
#define STORE_NEWEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct db;
struct directory;

/* The greatest number that a report has or had; 0: there was none. */
int newest_number(struct db *db, int64_t *number, struct failure *failure);

/* The same in the writer's open transaction, in which numbers up to `last` were given away: a put
 * that failed may have used up the last ones. 0: not known. */
int64_t newest_of_transaction(struct db *db, int64_t last);

/* `there`: that number. -1 with DATA_LOSS: a later report was acknowledged. *whole: all rows
 * agree, so that no row is damaged, and all of the store is older. */
int newest_check(struct db *db, const struct directory *directory, int64_t there,
                 bool *whole, struct failure *failure);

#endif
