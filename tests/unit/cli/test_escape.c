/* SPDX-License-Identifier: Apache-2.0 */
/* Names from files and the network cannot drive a terminal. */
#include <string.h>

#include "client/cli/escape.h"
#include "proto/utf8.h"
#include "tests/lib/check.h"

enum { OUT_BYTES = 128 };

static void escapes_to(const char *text, const char *wanted, size_t columns)
{
    char out[OUT_BYTES];

    CHECK_EQ(utf8_show_text(out, sizeof(out), text), columns);
    CHECK_STR(out, wanted);
}

CASE(leaves_plain_text, "plain text and letters of any script are left unchanged")
{
    escapes_to("", "", 0);
    escapes_to("model.layers.0.weight", "model.layers.0.weight", 21);
    escapes_to("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
               "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 3);
}

CASE(escapes_controls, "control characters are escaped")
{
    escapes_to("a\nb\x1b[31m\x7f", "a\\x0ab\\x1b[31m\\x7f", 18);
    escapes_to("\xc2\x9b"
               "31m",
               "\\u{9b}31m", 9);
}

CASE(escapes_what_reorders_or_hides, "characters that reorder or hide text are escaped")
{
    escapes_to("a\xe2\x80\xae"
               "b",
               "a\\u{202e}b", 10);
    escapes_to("\xe2\x81\xa6\xef\xbb\xbf\xe2\x80\x8b", "\\u{2066}\\u{feff}\\u{200b}", 24);
    escapes_to("\xf3\xa0\x80\xa1", "\\u{e0021}", 9);
}

CASE(escapes_broken_utf8, "bytes that are not UTF-8 are escaped")
{
    escapes_to("\xff\xc0\x80", "\\xff\\xc0\\x80", 12);
    escapes_to("\xe2\x82", "\\xe2\\x82", 8);
    escapes_to("\xed\xa0\x80", "\\xed\\xa0\\x80", 12);
    escapes_to("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", 16);
}

/* At any capacity the text ends in NUL and in a complete character. */
CASE(cuts_between_characters, "a text that is too long is cut between characters")
{
    static const char text[] = "a\xe2\x82\xac\n\xe2\x80\xaez";
    char out[OUT_BYTES];

    for (size_t capacity = 1; capacity < sizeof(out); capacity++) {
        memset(out, '#', sizeof(out));
        utf8_show_text(out, capacity, text);
        CHECK(strlen(out) < capacity);
        CHECK(strncmp(out, "a\xe2\x82\xac\\x0a\\u{202e}z", strlen(out)) == 0);
        CHECK(strlen(out) != 2 && strlen(out) != 3 && strlen(out) != 5);
        CHECK(out[capacity] == '#');
    }
}

/* No byte string yields a byte that a terminal obeys. */
CASE(never_lets_a_control_through, "no input yields a control character")
{
    uint64_t state = check_seed();

    for (int round = 0; round < 20000; round++) {
        char text[16], out[OUT_BYTES];

        for (size_t i = 0; i < sizeof(text); i++)
            text[i] = (char)check_random(&state);
        text[sizeof(text) - 1] = '\0';
        utf8_show_text(out, sizeof(out), text);
        for (const unsigned char *at = (const unsigned char *)out; *at; at++)
            CHECK(*at >= 0x20 && *at != 0x7f && !(*at == 0xc2 && at[1] < 0xa0));
    }
}
