/* SPDX-License-Identifier: Apache-2.0 */
#include "base64.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const uint8_t *bytes, size_t count, char *out)
{
    uint32_t bits = 0;
    unsigned bit_count = 0;

    for (size_t i = 0; i < count; i++) {
        bits = bits << 8 | bytes[i];
        for (bit_count += 8; bit_count >= 6; bit_count -= 6)
            *out++ = alphabet[bits >> (bit_count - 6) & 63];
    }
    if (bit_count > 0)
        *out++ = alphabet[bits << (6 - bit_count) & 63];
    *out = '\0';
}

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* The length without padding; -1: the padding is wrong. */
static ptrdiff_t unpadded(const char *text, size_t length)
{
    size_t kept = length;

    while (kept > 0 && length - kept < 2 && text[kept - 1] == '=')
        kept--;
    if (kept % 4 == 1 || (kept < length && length % 4 != 0))
        return -1;
    return (ptrdiff_t)kept;
}

ptrdiff_t base64_decode(const char *text, size_t length, uint8_t *out, size_t capacity)
{
    ptrdiff_t digits = unpadded(text, length);
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t count = 0;

    if (digits < 0 || (size_t)digits / 4 * 3 + (size_t)digits % 4 * 3 / 4 > capacity)
        return -1;
    for (ptrdiff_t i = 0; i < digits; i++) {
        int value = digit_value(text[i]);

        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            out[count++] = (uint8_t)(bits >> bit_count);
        }
    }
    return bits & ((1u << bit_count) - 1) ? -1 : (ptrdiff_t)count;
}
