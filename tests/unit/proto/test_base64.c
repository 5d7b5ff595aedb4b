/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base64.h"

#include <string.h>

#include "tests/lib/check.h"

CASE(vectors, "the vectors of RFC 4648 hold, with padding and without")
{
    static const struct {
        const char *plain, *padded;
    } rows[] = {{"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t count = strlen(rows[i].plain), chars = base64_chars(count);
        uint8_t bytes[16];
        char text[16];

        base64_encode((const uint8_t *)rows[i].plain, count, text);
        CHECK_EQ(strlen(text), chars);
        CHECK_MEM(text, rows[i].padded, chars);
        CHECK_EQ(base64_decode(text, chars, bytes, sizeof(bytes)), count);
        CHECK_MEM(bytes, rows[i].plain, count);
        CHECK_EQ(base64_decode(rows[i].padded, strlen(rows[i].padded), bytes, count),
                 count);
        if (count > 0)
            CHECK_EQ(base64_decode(text, chars, bytes, count - 1), -1);
    }
}

CASE(every_byte, "every byte comes back at each of the three positions")
{
    for (unsigned value = 0; value < 256; value++)
        for (size_t count = 1; count <= 3; count++) {
            uint8_t bytes[3] = {1, 2, 3}, back[3];
            char text[8];

            bytes[count - 1] = (uint8_t)value;
            base64_encode(bytes, count, text);
            CHECK_EQ(base64_decode(text, strlen(text), back, 3), count);
            CHECK_MEM(back, bytes, count);
        }
}

CASE(refused, "foreign characters, wrong lengths and wrong padding are refused")
{
    static const char *const texts[] = {"Z",
                                        "Zg=",
                                        "Zg===",
                                        "Z===",
                                        "=",
                                        "==",
                                        "Zm9v=",
                                        "Zm9vYg=",
                                        "Zm8==",
                                        "Zh",
                                        "Zm9",
                                        "Zm-_",
                                        "Zm 8",
                                        "Zm8,",
                                        "Zg==Zg==",
                                        "\xc3\xa4"
                                        "aa"};
    uint8_t bytes[16];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        CHECK_EQ(base64_decode(texts[i], strlen(texts[i]), bytes, sizeof(bytes)), -1);
}
