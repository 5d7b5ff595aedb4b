/* SPDX-License-Identifier: Apache-2.0 */
#include "store/newest.h"

#include <inttypes.h>

#include "store/db.h"
#include "store/directory.h"
#include "store/statements.h"

/* A number beyond 2^48 can only be damage. */
int newest_number(struct db *db, int64_t *number, struct failure *failure)
{
    return db_number(db,
                     "SELECT COALESCE(MAX(sequence), 0) FROM (SELECT sequence FROM totals"
                     " UNION ALL SELECT MAX(sequence) FROM reports)"
                     " WHERE sequence BETWEEN 0 AND 1 << 48",
                     number, failure);
}

int64_t newest_of_transaction(struct db *db, int64_t last)
{
    const int64_t newest = statement_number(db, ST_SEQUENCE);

    return newest < last ? newest : last; /* a damaged row may have any number */
}

/* Whether each report that rows of layers count is there. */
static int count_reports(struct db *db, bool *agree, struct failure *failure)
{
    int64_t counted = 0, there = 0;

    if (db_number(db, "SELECT COALESCE(SUM(reports), 0) FROM layers", &counted,
                  failure) ||
        db_number(db, "SELECT COUNT(*) FROM reports", &there, failure))
        return -1;
    *agree = counted == there;
    return 0;
}

int newest_check(struct db *db, const struct directory *directory, int64_t there,
                 bool *whole, struct failure *failure)
{
    const int64_t newest =
        directory->lock_fd < 0 ? 0 : directory_newest(directory->lock_fd);

    *whole = true;
    if (newest <= there)
        return 0;
    if (count_reports(db, whole, failure))
        return -1;
    return fail(
        failure, TRIT_DATA_LOSS, NULL,
        "its newest report is number %" PRId64 ", but number %" PRId64
        " was stored here: its log (reports.sqlite-wal) was emptied, or its files are "
        "of an older copy; restore a whole copy of the directory, or remove tritd.lock "
        "to go on without the reports that are lost",
        there, newest);
}
