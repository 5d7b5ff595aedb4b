/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged data that a commit goes on without. */
#include "store/commit_steps.h"

bool commit_does_without(struct commit *commit, struct failure *failure)
{
    struct db *db = commit->db;

    if (failure->status != TRIT_DATA_LOSS || db->damaged)
        return false;
    if (db->passed && db->passed->status == TRIT_OK)
        *db->passed = *failure;
    commit->met_damage = true;
    *failure = (struct failure){0};
    return true;
}
