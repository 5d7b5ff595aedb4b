/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ESCAPED_BYTES_MAX = 16 }; /* "\u{10ffff}" and its NUL fit */

/* The code point at `text` and its length; 0 where it is not UTF-8. */
static size_t decode(const unsigned char *text, uint32_t *point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = text[0] < 0x80   ? 1
                    : text[0] < 0xc2 ? 0
                    : text[0] < 0xe0 ? 2
                    : text[0] < 0xf0 ? 3
                    : text[0] < 0xf5 ? 4
                                     : 0;

    if (length < 2) {
        *point = text[0];
        return length;
    }
    *point = text[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        *point = *point << 6 | (text[i] & 0x3f);
    }
    if (*point < least[length] || *point > 0x10ffff ||
        (*point >= 0xd800 && *point < 0xe000))
        return 0;
    return length;
}

/* Unicode's controls and format characters, those that reorder or hide. */
static bool harmful(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0xad ||
           point == 0x61c || point == 0x180e || (point >= 0x200b && point <= 0x200f) ||
           (point >= 0x2028 && point <= 0x202e) || (point >= 0x2060 && point <= 0x206f) ||
           point == 0xfeff || (point >= 0xfff9 && point <= 0xfffb) ||
           (point >= 0xe0000 && point <= 0xe007f);
}

size_t escape_text(char *out, size_t bytes, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t used = 0, columns = 0;

    while (*at) {
        char piece[ESCAPED_BYTES_MAX];
        uint32_t point;
        size_t length = decode(at, &point), piece_bytes;

        if (length == 0 || point < 0x80)
            snprintf(piece, sizeof(piece), length && !harmful(point) ? "%c" : "\\x%02x",
                     *at);
        else if (harmful(point))
            snprintf(piece, sizeof(piece), "\\u{%x}", point);
        else
            snprintf(piece, sizeof(piece), "%.*s", (int)length, (const char *)at);
        piece_bytes = strlen(piece);
        if (used + piece_bytes >= bytes)
            break;
        memcpy(out + used, piece, piece_bytes);
        used += piece_bytes;
        columns += length > 1 && !harmful(point) ? 1 : piece_bytes;
        at += length ? length : 1;
    }
    if (bytes)
        out[used] = '\0';
    return columns;
}
