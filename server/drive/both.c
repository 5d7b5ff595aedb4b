/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/both.h"

#include <stdlib.h>

#include "base/number.h"

enum { PIECE_ELEMENTS = 1 << 18, ELEMENT_BYTES_MAX = 8 };

/* `count` elements from element `from` on, some of whose rows may lie elsewhere. */
static int read_elements(struct reader *reader, const struct tensor_entry *entry,
                         const struct head_order *heads, uint64_t from, uint64_t count,
                         uint8_t *to, struct failure *failure)
{
    const size_t width = element_bytes(entry->type);

    if (heads->rows == 0)
        return reader_read(reader, entry, from * width, to, count * width, failure);
    const uint64_t columns = entry->bytes / width / entry->shape[0];
    while (count > 0) {
        const uint64_t row = from / columns, at = from % columns;
        const uint64_t run = u64_min(count, columns - at);

        if (reader_read(reader, entry,
                        (head_order_row(heads, row) * columns + at) * width, to,
                        run * width, failure) < 0)
            return -1;
        from += run;
        count -= run;
        to += run * width;
    }
    return 0;
}

int both_compare(struct reader *expected, const struct tensor_entry *wanted,
                 const struct head_order *heads, struct reader *got,
                 const struct tensor_entry *found, struct difference *difference,
                 struct failure *failure)
{
    static const struct head_order as_stored = {.rows = 0};
    const size_t width = element_bytes(found->type);
    const uint64_t elements = found->bytes / width;
    uint8_t *pieces = malloc(2 * (size_t)PIECE_ELEMENTS * ELEMENT_BYTES_MAX);
    uint8_t *second = pieces + (size_t)PIECE_ELEMENTS * ELEMENT_BYTES_MAX;
    int result =
        pieces ? 0 : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");

    for (uint64_t at = 0; result == 0 && at < elements; at += PIECE_ELEMENTS) {
        const uint64_t count = u64_min(elements - at, PIECE_ELEMENTS);

        result = read_elements(expected, wanted, heads, at, count, pieces, failure);
        if (result == 0)
            result = read_elements(got, found, &as_stored, at, count, second, failure);
        if (result == 0)
            difference_feed(difference, pieces, second, count * width);
    }
    free(pieces);
    return result;
}
