/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged data that a commit goes on without. */
#include "store/commit_steps.h"

bool commit_does_without(struct commit *commit, struct failure *failure)
{
    struct db *db = commit->db;
    const struct failure damage = *failure;

    if (!damage_is_of_rows(db, failure))
        return false;
    fail_as(db->passed, &damage);
    commit->met_damage = true;
    return true;
}
