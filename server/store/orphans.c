/* SPDX-License-Identifier: Apache-2.0 */
#include "store/orphans.h"

static void remember(struct orphans *orphans, int64_t upload)
{
    if (upload != 0 && orphans->count < ORPHANS_MAX)
        orphans->at[orphans->count++] = upload;
}

void orphans_remember(struct orphans *orphans, const struct store_upload *upload)
{
    remember(orphans, upload->codes.upload);
    remember(orphans, upload->scales.upload);
}

void orphans_remove(struct orphans *orphans, struct db *db)
{
    while (orphans->count > 0) {
        struct failure failure = {0};

        if (codes_delete(db, orphans->at[orphans->count - 1], &failure)) {
            slots_rolled_back(db->slots);
            if (failure.status != TRIT_DATA_LOSS)
                return;
        }
        slots_committed(db->slots, false);
        orphans->count--;
    }
}
