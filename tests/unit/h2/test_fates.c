/* SPDX-License-Identifier: Apache-2.0 */
#include "h2/fates.h"
#include "tests/lib/check.h"

CASE(skipped, "the ids that a peer skips count as never opened")
{
    struct fates fates = {0};

    fates_open(&fates, 1);
    fates_open(&fates, 7);
    CHECK_EQ(fates_get(&fates, 1), FATE_OPENED);
    CHECK_EQ(fates_get(&fates, 3), FATE_NEVER_OPENED);
    CHECK_EQ(fates_get(&fates, 5), FATE_NEVER_OPENED);
    CHECK_EQ(fates_get(&fates, 7), FATE_OPENED);
    CHECK_EQ(fates_get(&fates, 9), FATE_UNKNOWN);
}

CASE(first_skips, "the ids below the first stream count as never opened")
{
    struct fates fates = {0};

    fates_open(&fates, 5);
    CHECK_EQ(fates_get(&fates, 1), FATE_NEVER_OPENED);
    CHECK_EQ(fates_get(&fates, 3), FATE_NEVER_OPENED);
}

CASE(foreign_ids, "even ids, and ids not above the newest, open no stream")
{
    struct fates fates = {0};

    fates_open(&fates, 9);
    fates_set(&fates, 9, FATE_PEER_ENDED);
    fates_open(&fates, 10);
    fates_open(&fates, 9);
    fates_open(&fates, 3);
    CHECK_EQ(fates_get(&fates, 9), FATE_PEER_ENDED);
    CHECK_EQ(fates_get(&fates, 3), FATE_NEVER_OPENED);
    CHECK_EQ(fates_get(&fates, 10), FATE_UNKNOWN);
    CHECK_EQ(fates.newest, 9);
}

CASE(window, "the fates of the newest streams are kept, those of older ones are unknown")
{
    struct fates fates = {0};
    const uint32_t last = 2 * 1000 + 1;

    for (uint32_t id = 1; id <= last; id += 2) {
        fates_open(&fates, id);
        fates_set(&fates, id, id % 4 == 1 ? FATE_PEER_ENDED : FATE_PEER_RESET);
    }
    for (uint32_t id = last; id > last - 2 * FATES_KEPT; id -= 2)
        CHECK_EQ(fates_get(&fates, id), id % 4 == 1 ? FATE_PEER_ENDED : FATE_PEER_RESET);
    CHECK_EQ(fates_get(&fates, last - 2 * FATES_KEPT), FATE_UNKNOWN);
    fates_set(&fates, last - 2 * FATES_KEPT, FATE_PEER_ENDED); /* its slot is another's */
    CHECK_EQ(fates_get(&fates, last), FATE_PEER_ENDED);
}

CASE(jump, "a jump over more ids than are kept forgets every earlier stream")
{
    struct fates fates = {0};

    for (uint32_t id = 1; id < 2 * FATES_KEPT; id += 2)
        fates_open(&fates, id);
    fates_open(&fates, 0x7fffffff);
    CHECK_EQ(fates_get(&fates, 0x7fffffff), FATE_OPENED);
    CHECK_EQ(fates_get(&fates, 0x7ffffffd), FATE_NEVER_OPENED);
    CHECK_EQ(fates_get(&fates, 1), FATE_UNKNOWN);
}
