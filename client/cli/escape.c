/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/escape.h"

#include <string.h>

#include "proto/utf8.h"

size_t escape_text(char *out, size_t bytes, const char *text)
{
    size_t used = 0, columns = 0;

    while (*text) {
        char shown[UTF8_SHOWN_BYTES];
        size_t length = utf8_show(text, shown), shown_bytes = strlen(shown);

        if (used + shown_bytes >= bytes)
            break;
        memcpy(out + used, shown, shown_bytes);
        used += shown_bytes;
        columns += *text == *shown ? 1 : shown_bytes; /* an escape is ASCII */
        text += length;
    }
    if (bytes)
        out[used] = '\0';
    return columns;
}

const char *escaped(char out[ESCAPED_BYTES], const char *text)
{
    escape_text(out, ESCAPED_BYTES, text);
    return out;
}
