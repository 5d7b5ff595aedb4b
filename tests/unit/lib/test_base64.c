/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "client/lib/base64.h"
#include "tests/lib/check.h"

/* The vectors of RFC 4648, section 10, padded and not. */
CASE(vectors,
     "the RFC's vectors decode, padded or not, and never write past the capacity")
{
    static const char *const texts[][2] = {
        {"", ""},           {"Zg==", "f"},         {"Zg", "f"},
        {"Zm8=", "fo"},     {"Zm8", "fo"},         {"Zm9v", "foo"},
        {"Zm9vYg", "foob"}, {"Zm9vYmE=", "fooba"}, {"Zm9vYmFy", "foobar"},
    };
    uint8_t out[16];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t length = strlen(texts[i][1]);

        CHECK_EQ(base64_decode(texts[i][0], out, sizeof(out)), length);
        CHECK_MEM(out, texts[i][1], length);
        if (length > 0)
            CHECK_EQ(base64_decode(texts[i][0], out, length - 1), 0);
        CHECK_EQ(base64_decode(texts[i][0], out, length), length);
    }
}

CASE(malformed, "malformed text decodes to nothing")
{
    static const char *const texts[] = {"Z", "Zm9vY", "Zm9-", "Zm 9", "Z\xc3\xa4="};
    uint8_t out[16];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        CHECK_EQ(base64_decode(texts[i], out, sizeof(out)), 0);
}

CASE(alphabet, "plus and slash are the last two characters of the alphabet")
{
    uint8_t out[3];

    CHECK_EQ(base64_decode("+/+/", out, sizeof(out)), 3);
    CHECK_MEM(out, "\xfb\xff\xbf", 3);
}
