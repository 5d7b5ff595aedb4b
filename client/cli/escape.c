/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/escape.h"

#include "proto/utf8.h"

const char *escaped(char out[ESCAPED_BYTES], const char *text)
{
    utf8_show_text(out, ESCAPED_BYTES, text);
    return out;
}
