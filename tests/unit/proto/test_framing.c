/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/framing.h"

#include <string.h>

#include "tests/lib/check.h"

/* ---- helpers -------------------------------------------------------------------- */

/* Deframes everything and writes what came as text: "M5 abcde E". */
static void transcript(struct deframer *deframer, const uint8_t *bytes, size_t count,
                       char *out, size_t *at, size_t capacity)
{
    for (;;) {
        struct deframed found = {0};
        enum deframe_event event = deframe(deframer, &bytes, &count, &found);
        CHECK(*at + found.count + 16 < capacity);
        switch (event) {
        case DEFRAME_MORE:
            CHECK_EQ(count, 0);
            out[*at] = '\0';
            return;
        case DEFRAME_MESSAGE:
            out[(*at)++] = found.compressed ? 'C' : 'M';
            out[(*at)++] = (char)('0' + found.length);
            break;
        case DEFRAME_BYTES:
            CHECK(found.count > 0);
            memcpy(out + *at, found.bytes, found.count);
            *at += found.count;
            break;
        case DEFRAME_END:
            out[(*at)++] = 'E';
            break;
        }
    }
}

static const uint8_t three_messages[] = {0, 0, 0, 0, 5, 'a', 'b', 'c', 'd', 'e', 0,
                                         0, 0, 0, 0, 1, 0,   0,   0,   2,   'x', 'y'};
static const char three_transcript[] = "M5abcdeEM0EC2xyE";

/* ---- messages ------------------------------------------------------------------- */

CASE(splits_anywhere, "messages are the same wherever the stream is cut in three")
{
    for (size_t a = 0; a <= sizeof(three_messages); a++) {
        for (size_t b = a; b <= sizeof(three_messages); b++) {
            struct deframer deframer;
            char text[128];
            size_t at = 0;
            deframer_init(&deframer);
            transcript(&deframer, three_messages, a, text, &at, sizeof(text));
            transcript(&deframer, three_messages + a, b - a, text, &at, sizeof(text));
            transcript(&deframer, three_messages + b, sizeof(three_messages) - b, text,
                       &at, sizeof(text));
            CHECK_STR(text, three_transcript);
            CHECK(deframer_idle(&deframer));
        }
    }
}

CASE(idle_only_between, "a deframer is idle exactly between messages")
{
    static const size_t idle_at[] = {0, 10, 15, 22};
    for (size_t n = 0; n <= sizeof(three_messages); n++) {
        struct deframer deframer;
        char text[128];
        size_t at = 0;
        bool expected = false;
        for (size_t i = 0; i < sizeof(idle_at) / sizeof(idle_at[0]); i++)
            expected |= idle_at[i] == n;
        deframer_init(&deframer);
        transcript(&deframer, three_messages, n, text, &at, sizeof(text));
        CHECK_EQ(deframer_idle(&deframer), expected);
    }
}

CASE(longest_message, "a message of 2^32-1 bytes is announced as such")
{
    uint8_t prefix[GRPC_PREFIX_BYTES];
    const uint8_t *bytes = prefix;
    size_t count = sizeof(prefix);
    struct deframer deframer;
    struct deframed found;
    frame_prefix(prefix, UINT32_MAX);
    CHECK_MEM(prefix, "\0\xff\xff\xff\xff", 5);
    deframer_init(&deframer);
    CHECK_EQ(deframe(&deframer, &bytes, &count, &found), DEFRAME_MESSAGE);
    CHECK_EQ(found.length, UINT32_MAX);
    CHECK(!found.compressed);
}

CASE(prefix_round_trip, "a prefix that was written is read back")
{
    uint64_t seed = check_seed();
    for (int i = 0; i < 1000; i++) {
        uint32_t length = (uint32_t)(check_random(&seed) >> (check_random(&seed) % 64));
        uint8_t prefix[GRPC_PREFIX_BYTES];
        const uint8_t *bytes = prefix;
        size_t count = sizeof(prefix);
        struct deframer deframer;
        struct deframed found;
        frame_prefix(prefix, length);
        deframer_init(&deframer);
        CHECK_EQ(deframe(&deframer, &bytes, &count, &found), DEFRAME_MESSAGE);
        CHECK_EQ(found.length, length);
    }
}

/* ---- timeouts ------------------------------------------------------------------- */

CASE(timeouts_parse,
     "grpc-timeout values are read; those above 2^64 ns become the maximum")
{
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {
        {"0n", 0},
        {"1n", 1},
        {"1u", 1000},
        {"1m", 1000000},
        {"1S", 1000000000},
        {"1M", 60000000000},
        {"1H", 3600000000000},
        {"00000012S", 12000000000},
        {"99999999n", 99999999},
        {"99999999S", 99999999000000000},
        {"5124095H", UINT64_C(5124095) * 3600 * 1000000000},
        {"5124096H", UINT64_MAX}, /* past 2^64 ns */
        {"99999999H", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t ns = 7;
        CHECK_EQ(timeout_parse(cases[i].text, &ns), 0);
        CHECK_EQ(ns, cases[i].ns);
    }
}

CASE(timeouts_malformed,
     "a malformed grpc-timeout is refused and leaves the output alone")
{
    static const char *const cases[] = {"",    "S",   "1",    "123456789n", "1s",
                                        "1x",  "-1S", "+1S",  " 1S",        "1 S",
                                        "1SS", "1S ", "1.5S", "0x1S"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t ns = 7;
        CHECK_EQ(timeout_parse(cases[i], &ns), -1);
        CHECK_EQ(ns, 7);
    }
}

CASE(timeouts_format, "a timeout is written in the finest unit that can represent it")
{
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {
        {0, "0n"},
        {99999999, "99999999n"},
        {100000000, "100000u"},
        {100000001, "100001u"}, /* up */
        {99999999000, "99999999u"},
        {99999999001, "100000m"},
        {UINT64_MAX, "5124096H"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[TIMEOUT_TEXT_BYTES];
        timeout_format(cases[i].ns, text);
        CHECK_STR(text, cases[i].text);
    }
}

CASE(timeouts_never_shrink, "a timeout that was written is never shorter when read")
{
    uint64_t seed = check_seed();
    for (int i = 0; i < 20000; i++) {
        uint64_t ns = check_random(&seed) >> (check_random(&seed) % 64), back;
        char text[TIMEOUT_TEXT_BYTES];
        timeout_format(ns, text);
        CHECK_EQ(timeout_parse(text, &back), 0);
        CHECK(back >= ns);
        CHECK((double)(back - ns) <= (double)ns * 1e-3); /* 60 / 99999999 at worst */
    }
}

/* ---- status texts ------------------------------------------------------------------ */

CASE(escapes, "a status message is percent-encoded as gRPC requires")
{
    char out[64];
    message_escape("plain text: ~!", out, sizeof(out));
    CHECK_STR(out, "plain text: ~!");
    message_escape("100% \n\x7f\xc3\xa4", out, sizeof(out));
    CHECK_STR(out, "100%25 %0A%7F%C3%A4");
    message_escape("", out, sizeof(out));
    CHECK_STR(out, "");
}

CASE(escapes_whole, "an escaped message is never cut inside an escape")
{
    for (size_t bytes = 1; bytes < 16; bytes++) {
        char out[16];
        memset(out, '#', sizeof(out));
        message_escape("a\nb\n\n", out, bytes);
        size_t length = strlen(out);
        CHECK(length < bytes);
        CHECK(out[bytes] == '#' || bytes == 16);
        for (size_t i = 0; i < length; i++)
            if (out[i] == '%')
                CHECK(length - i >= 3);
        CHECK(strncmp("a%0Ab%0A%0A", out, length) == 0);
    }
    message_escape("a", NULL, 0);
}

CASE(unescapes, "invalid escapes are kept as they are")
{
    static const char *const cases[][2] = {
        {"plain", "plain"},     {"100%25", "100%"}, {"%0a%0A", "\n\n"},
        {"%C3%A4", "\xc3\xa4"}, {"%", "%"},         {"%4", "%4"},
        {"%zz%41", "%zzA"},     {"%4x", "%4x"},     {"a%00b", "a%00b"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[64];
        message_unescape(cases[i][0], out, sizeof(out));
        CHECK_STR(out, cases[i][1]);
    }
    char small[4];
    message_unescape("%41%42%43%44", small, sizeof(small));
    CHECK_STR(small, "ABC");
    message_unescape("a", NULL, 0);
}

CASE(escape_round_trip, "any text survives escaping")
{
    uint64_t seed = check_seed();
    for (int i = 0; i < 1000; i++) {
        char text[65], escaped[256], back[65];
        size_t length = check_random(&seed) % 65;
        for (size_t j = 0; j < length; j++)
            text[j] = (char)(1 + check_random(&seed) % 127);
        text[length] = '\0';
        message_escape(text, escaped, sizeof(escaped));
        for (const char *c = escaped; *c; c++)
            CHECK(*c >= 0x20 && *c <= 0x7e);
        message_unescape(escaped, back, sizeof(back));
        CHECK_STR(back, text);
    }
}

CASE(escape_foreign, "a byte that is not UTF-8 becomes U+FFFD, and no character is cut")
{
    char out[64];

    message_escape("a\xff"
                   "b\xc3",
                   out, sizeof(out));
    CHECK_STR(out, "a%EF%BF%BDb%EF%BF%BD");
    message_escape("x\xc3\xa4y", out, 2 + 6); /* x, the escapes, NUL */
    CHECK_STR(out, "x%C3%A4");
    message_escape("x\xc3\xa4y", out, 2 + 5);
    CHECK_STR(out, "x");
}

/* ---- statuses ---------------------------------------------------------------------- */

CASE(http_statuses, "HTTP statuses are mapped as gRPC's document says")
{
    CHECK_EQ(status_from_http(400), TRIT_INTERNAL);
    CHECK_EQ(status_from_http(401), TRIT_UNAUTHENTICATED);
    CHECK_EQ(status_from_http(403), TRIT_PERMISSION_DENIED);
    CHECK_EQ(status_from_http(404), TRIT_UNIMPLEMENTED);
    CHECK_EQ(status_from_http(429), TRIT_UNAVAILABLE);
    CHECK_EQ(status_from_http(503), TRIT_UNAVAILABLE);
    CHECK_EQ(status_from_http(200), TRIT_UNKNOWN);
    CHECK_EQ(status_from_http(500), TRIT_UNKNOWN);
}

CASE(h2_codes, "HTTP/2 error codes are mapped as gRPC's document says")
{
    CHECK_EQ(status_from_h2(0), TRIT_INTERNAL);
    CHECK_EQ(status_from_h2(2), TRIT_INTERNAL);
    CHECK_EQ(status_from_h2(7), TRIT_UNAVAILABLE);
    CHECK_EQ(status_from_h2(8), TRIT_CANCELLED);
    CHECK_EQ(status_from_h2(11), TRIT_RESOURCE_EXHAUSTED);
    CHECK_EQ(status_from_h2(12), TRIT_PERMISSION_DENIED);
    CHECK_EQ(status_from_h2(99), TRIT_UNKNOWN);
}
