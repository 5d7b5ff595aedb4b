/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/both.h"

#include <stdlib.h>

#include "base/number.h"

enum { PIECE_BYTES = 1 << 20 };

int both_compare(struct reader *expected, const struct tensor_entry *wanted,
                 struct reader *got, const struct tensor_entry *found,
                 struct difference *difference, struct failure *failure)
{
    uint8_t *pieces = malloc(2 * (size_t)PIECE_BYTES);
    int result =
        pieces ? 0 : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");

    for (uint64_t at = 0; result == 0 && at < wanted->bytes; at += PIECE_BYTES) {
        const uint64_t piece = u64_min(wanted->bytes - at, PIECE_BYTES);

        result = reader_read(expected, wanted, at, pieces, piece, failure);
        if (result == 0)
            result = reader_read(got, found, at, pieces + PIECE_BYTES, piece, failure);
        if (result == 0)
            difference_feed(difference, pieces, pieces + PIECE_BYTES, piece);
    }
    free(pieces);
    return result;
}
