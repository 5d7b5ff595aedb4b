/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/base64.h"

#include <string.h>

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

size_t base64_decode(const char *text, uint8_t *out, size_t capacity)
{
    size_t length = strcspn(text, "="), count = 0;
    uint32_t bits = 0, held = 0;

    /* A single sextet at the end is not a whole byte. */
    if (length % 4 == 1 || length / 4 * 3 + length % 4 * 3 / 4 > capacity)
        return 0;
    for (size_t i = 0; i < length; i++) {
        int value = sextet(text[i]);

        if (value < 0)
            return 0;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[count++] = (uint8_t)(bits >> held);
        }
    }
    return count;
}
