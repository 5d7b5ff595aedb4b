/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/utf8.h"

#include <string.h>

#include "tests/lib/check.h"

/* Writes the code point by the definition of UTF-8; returns its length. */
static size_t encode(uint32_t point, char out[5])
{
    size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = length; i-- > 1; point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)(first[length] | point);
    out[length] = '\0';
    return length;
}

CASE(decodes_every_code_point,
     "every code point decodes to itself; surrogates and truncated ones are refused")
{
    for (uint32_t point = 0; point <= 0x10ffff; point++) {
        bool surrogate = point >= 0xd800 && point <= 0xdfff;
        uint32_t got = 0;
        char text[5];
        size_t length = encode(point, text);

        if (surrogate) {
            CHECK(utf8_decode(text, length, &got) == 0);
            continue;
        }
        CHECK(utf8_decode(text, length, &got) == length && got == point);
        CHECK(utf8_decode(text, UTF8_BYTES_MAX, &got) == length);
        CHECK(utf8_decode(text, length - 1, &got) == 0);
    }
}

CASE(refuses_what_is_not_utf8,
     "bytes that are not UTF-8 are refused and the output is not written")
{
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x9f\xbf",
        "\xe2\x82",
        "\xe2\x28\xa1",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "\xed\xa0\x80",
        "\xf0\x90\x80",
        "\xc3",
        "\xc3\xc3",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint32_t point = 7;

        CHECK(utf8_decode(bad[i], strlen(bad[i]), &point) == 0);
        CHECK_EQ(point, 7);
        CHECK(!utf8_is_valid(bad[i]));
        CHECK(!utf8_is_name(bad[i]));
    }
}

/* Unicode's controls (Cc), format characters that hide or reorder text (Cf), and the
 * two separators; not the few Cf that are drawn, such as Arabic number signs. */
CASE(policy, "controls, separators, bidirectional and invisible characters are deceptive")
{
    static const struct {
        uint32_t first, last;
        bool deceptive;
    } ranges[] = {
        {0, 0x1f, true},          {0x20, 0x7e, false},
        {0x7f, 0x9f, true},       {0xa0, 0xac, false},
        {0xad, 0xad, true},       {0xae, 0x61b, false},
        {0x61c, 0x61c, true},     {0x61d, 0x180d, false},
        {0x180e, 0x180e, true},   {0x180f, 0x200a, false},
        {0x200b, 0x200f, true},   {0x2010, 0x2027, false},
        {0x2028, 0x202e, true},   {0x202f, 0x205f, false},
        {0x2060, 0x206f, true},   {0x2070, 0xfefe, false},
        {0xfeff, 0xfeff, true},   {0xff00, 0xfff8, false},
        {0xfff9, 0xfffb, true},   {0xfffc, 0xdffff, false},
        {0xe0000, 0xe007f, true}, {0xe0080, 0x10ffff, false},
    };

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        for (uint32_t point = ranges[i].first; point <= ranges[i].last; point++)
            CHECK(utf8_is_deceptive(point) == ranges[i].deceptive);
}

CASE(names, "a name is UTF-8 without C0 controls, DEL and C1 controls")
{
    CHECK(utf8_is_name("model.layers.0 \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
    CHECK(utf8_is_name("\xe2\x80\x8d")); /* a joiner is part of some scripts */
    CHECK(!utf8_is_name("a\n"));
    CHECK(!utf8_is_name("\x7f"));
    CHECK(!utf8_is_name("\xc2\x9b")); /* C1 */
    CHECK(utf8_is_valid("a\n\xc2\x9b"));
}

static void shows_to(const char *text, const char *people, const char *json)
{
    char shown[UTF8_SHOWN_BYTES];

    CHECK_EQ(utf8_show(text, shown), strlen(text));
    CHECK_STR(shown, people);
    CHECK_EQ(utf8_show_json(text, shown), strlen(text));
    CHECK_STR(shown, json);
}

CASE(shown, "a deceptive character becomes an escape, anything else stays")
{
    shows_to("a", "a", "a");
    shows_to("\xe2\x82\xac", "\xe2\x82\xac", "\xe2\x82\xac");
    shows_to("\x1b", "\\x1b", "\\u001b");
    shows_to("\x7f", "\\x7f", "\\u007f");
    shows_to("\xc2\x9b", "\\u{9b}", "\\u009b");
    shows_to("\xe2\x80\xae", "\\u{202e}", "\\u202e");
    shows_to("\xf3\xa0\x81\xbf", "\\u{e007f}", "\\udb40\\udc7f");
    shows_to("\xff", "\\xff", "\\ufffd");
}

/* Whatever bytes come, nothing deceptive is left, and the text advances. */
CASE(shows_any_bytes, "the output has no deceptive character, whatever the bytes")
{
    uint64_t state = check_seed();

    for (int round = 0; round < 200000; round++) {
        char text[6] = "", piece[UTF8_SHOWN_BYTES];
        uint32_t point;

        for (size_t i = 0; i < sizeof(text) - 1; i++)
            text[i] = (char)check_random(&state);
        for (const char *at = text; *at;) {
            size_t length = utf8_show(at, piece);

            CHECK(length >= 1 && length <= strlen(at));
            CHECK(utf8_decode(piece, UTF8_BYTES_MAX, &point) > 0);
            CHECK(!utf8_is_deceptive(point));
            CHECK_EQ(utf8_show_json(at, piece), length);
            CHECK(utf8_decode(piece, UTF8_BYTES_MAX, &point) > 0);
            CHECK(!utf8_is_deceptive(point));
            at += length;
        }
    }
}

CASE(cuts, "cutting leaves whole characters")
{
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    static const size_t kept[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10};

    for (size_t count = 0; count < sizeof(kept) / sizeof(kept[0]); count++)
        CHECK_EQ(utf8_cut(text, count), kept[count]);
    CHECK_EQ(utf8_cut("\x80\x80\x80\x80\x80", 5), 5); /* no character to cut */
}

CASE(json_runs, "a JSON run ends before a deceptive character")
{
    static const char json[] = "{\n \"a\": \"\xc3\xa9\xe2\x80\xae\"}";

    CHECK_EQ(utf8_json_safe(json, strlen(json)), 11);
    CHECK_EQ(utf8_json_safe(json, 8), 8);
    CHECK_EQ(utf8_json_safe("\xff", 1), 1);
    CHECK_EQ(utf8_json_safe("", 0), 0);
}
