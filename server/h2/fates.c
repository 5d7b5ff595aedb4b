/* SPDX-License-Identifier: Apache-2.0 */
#include "h2/fates.h"

#include <stdbool.h>
#include <string.h>

/* A client's streams have odd ids. */
static uint32_t slot_of(uint32_t id)
{
    return id / 2 % FATES_KEPT;
}

static bool is_kept(const struct fates *fates, uint32_t id)
{
    return id % 2 == 1 && id <= fates->newest &&
           (fates->newest - id) / 2 < (uint32_t)FATES_KEPT;
}

void fates_open(struct fates *fates, uint32_t id)
{
    uint32_t skipped;

    if (id % 2 == 0 || id <= fates->newest)
        return;
    skipped = fates->newest ? (id - fates->newest) / 2 - 1 : id / 2;
    if (skipped >= FATES_KEPT)
        memset(fates->kept, FATE_NEVER_OPENED, sizeof(fates->kept));
    else
        for (uint32_t i = 1; i <= skipped; i++)
            fates->kept[slot_of(id - 2 * i)] = FATE_NEVER_OPENED;
    fates->kept[slot_of(id)] = FATE_OPENED;
    fates->newest = id;
}

void fates_set(struct fates *fates, uint32_t id, enum fate fate)
{
    if (is_kept(fates, id))
        fates->kept[slot_of(id)] = (uint8_t)fate;
}

enum fate fates_get(const struct fates *fates, uint32_t id)
{
    return is_kept(fates, id) ? (enum fate)fates->kept[slot_of(id)] : FATE_UNKNOWN;
}
