/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/escape.h"

#include "proto/utf8.h"

size_t escape_text(char *out, size_t bytes, const char *text)
{
    return utf8_show_text(out, bytes, text);
}

const char *escaped(char out[ESCAPED_BYTES], const char *text)
{
    escape_text(out, ESCAPED_BYTES, text);
    return out;
}
