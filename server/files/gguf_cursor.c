/* SPDX-License-Identifier: Apache-2.0 */
#include "files/gguf_cursor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

void gguf_cursor_init(struct gguf_cursor *cursor, struct source *source,
                      uint64_t bytes_max)
{
    cursor->source = source;
    cursor->end = u64_min(source_bytes(source), bytes_max);
    cursor->at = 0;
    cursor->piece_start = 0;
    cursor->piece_bytes = 0;
}

static int fail_short(const struct gguf_cursor *cursor, const char *what,
                      struct failure *failure)
{
    if (cursor->end < source_bytes(cursor->source))
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "GGUF header: %s ends beyond byte %" PRIu64
                    ", the longest header that is read",
                    what, cursor->end);
    return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                "GGUF header: %s goes beyond the end of the file: the file is truncated",
                what);
}

/* Makes the piece hold the byte at cursor->at, which is before the end. */
static int fill(struct gguf_cursor *cursor, struct failure *failure)
{
    if (cursor->at >= cursor->piece_start &&
        cursor->at < cursor->piece_start + cursor->piece_bytes)
        return 0;
    const size_t count = (size_t)u64_min(cursor->end - cursor->at, GGUF_PIECE_BYTES);
    cursor->piece_bytes = 0;
    if (source_read(cursor->source, cursor->at, cursor->piece, count, failure) < 0)
        return -1;
    cursor->piece_start = cursor->at;
    cursor->piece_bytes = count;
    return 0;
}

int gguf_take(struct gguf_cursor *cursor, void *bytes, size_t count, const char *what,
              struct failure *failure)
{
    uint8_t *to = bytes;

    if (count > cursor->end - cursor->at)
        return fail_short(cursor, what, failure);
    while (count > 0) {
        if (fill(cursor, failure) < 0)
            return -1;
        const size_t from = (size_t)(cursor->at - cursor->piece_start);
        const size_t run = (size_t)u64_min(count, cursor->piece_bytes - from);
        memcpy(to, cursor->piece + from, run);
        to += run;
        cursor->at += run;
        count -= run;
    }
    return 0;
}

uint64_t gguf_number(const uint8_t *bytes, size_t count)
{
    uint64_t number = 0;

    while (count-- > 0)
        number = number << 8 | bytes[count];
    return number;
}

int gguf_take_u32(struct gguf_cursor *cursor, uint32_t *number, const char *what,
                  struct failure *failure)
{
    uint8_t bytes[sizeof(*number)];

    if (gguf_take(cursor, bytes, sizeof(bytes), what, failure) < 0)
        return -1;
    *number = (uint32_t)gguf_number(bytes, sizeof(bytes));
    return 0;
}

int gguf_take_u64(struct gguf_cursor *cursor, uint64_t *number, const char *what,
                  struct failure *failure)
{
    uint8_t bytes[sizeof(*number)];

    if (gguf_take(cursor, bytes, sizeof(bytes), what, failure) < 0)
        return -1;
    *number = gguf_number(bytes, sizeof(bytes));
    return 0;
}

int gguf_skip(struct gguf_cursor *cursor, uint64_t count, const char *what,
              struct failure *failure)
{
    if (count > cursor->end - cursor->at)
        return fail_short(cursor, what, failure);
    cursor->at += count;
    return 0;
}

int gguf_take_string(struct gguf_cursor *cursor, uint64_t length_max, char **text,
                     size_t *length, const char *what, struct failure *failure)
{
    uint64_t bytes;

    *text = NULL;
    if (gguf_take_u64(cursor, &bytes, what, failure) < 0)
        return -1;
    if (bytes > cursor->end - cursor->at)
        return fail_short(cursor, what, failure);
    if (bytes > length_max)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "GGUF header: %s has %" PRIu64 " bytes, at most %" PRIu64
                    " are allowed",
                    what, bytes, length_max);
    char *made = malloc((size_t)bytes + 1);
    if (!made)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a header");
    if (gguf_take(cursor, made, (size_t)bytes, what, failure) < 0) {
        free(made);
        return -1;
    }
    made[bytes] = '\0';
    *text = made;
    *length = (size_t)bytes;
    return 0;
}
