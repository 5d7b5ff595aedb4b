/* SPDX-License-Identifier: Apache-2.0 */
/* Escaping, decoding and the judging of hosts. */
#include <string.h>

#include "tests/lib/check.h"
#include "web/host.h"
#include "web/request.h"

static void check_html(const char *words, const char *wanted)
{
    struct text text = {0};

    text_html(&text, words);
    text_add(&text, "", 1);
    CHECK_STR(text.bytes, wanted);
    text_fini(&text);
}

CASE(html, "HTML text has no markup, no control characters and only UTF-8")
{
    check_html("<a href=\"x\" title='y'>&",
               "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;"
               "&amp;");
    check_html("gr\xc3\xb6\xc3\x9f"
               "er \xe2\x82\xac \xf0\x9f\x98\x80",
               "gr\xc3\xb6\xc3\x9f"
               "er \xe2\x82\xac \xf0\x9f\x98\x80");
    check_html("a\x01\n\x7f", "a\\x01\\x0a\\x7f");
    check_html("\xff<\xc3", "\\xff&lt;\\xc3");
    check_html("\xc0\xbc\xed\xa0\x80", "\\xc0\\xbc\\xed\\xa0\\x80");
    check_html("\xc2\x9b\xe2\x80\xae\xe2\x80\x8b", "\\u{9b}\\u{202e}\\u{200b}");
}

CASE(json, "JSON keeps its layout; deceptive characters become \\u escapes")
{
    static const char plain[] = "{\n  \"a\": \"gr\xc3\xb6\xc3\x9f\\u0007\"\n}";
    static const char odd[] = "[\"\xe2\x80\xae\x7f\", \"\xf3\xa0\x80\xa1\"]";
    struct text text = {0};

    text_json(&text, plain, strlen(plain));
    text_json(&text, odd, strlen(odd));
    text_add(&text, "", 1);
    CHECK_STR(text.bytes, "{\n  \"a\": \"gr\xc3\xb6\xc3\x9f\\u0007\"\n}"
                          "[\"\\u202e\\u007f\", \"\\udb40\\udc21\"]");
    text_fini(&text);
}

CASE(urls, "an encoded name decodes to itself and has no reserved character")
{
    struct text text = {0};
    char all[256], back[256];

    for (int i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    all[255] = '\0';
    text_url(&text, all);
    for (size_t i = 0; i < text.count; i++)
        CHECK(!strchr("/?#&=+ <>\"'\\", text.bytes[i]));
    CHECK(url_decode(text.bytes, text.count, back, sizeof(back)) == 0);
    CHECK_STR(back, all);
    text_fini(&text);
}

CASE(segments, "a name in a path is never a step of the path, and decodes to itself")
{
    static const char *const names[][2] = {
        {".", "=."},      {"..", "=.."},    {"...", "..."}, {"=.", "%3D."},
        {"a/.", "a%2F."}, {"=..", "%3D.."}, {"=", "%3D"},   {"..a", "..a"}};
    char back[16];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct text text = {0};

        text_segment(&text, names[i][0]);
        CHECK(segment_decode(text.bytes, text.count, back, sizeof(back)) == 0);
        CHECK_STR(back, names[i][0]);
        text_add(&text, "", 1);
        CHECK_STR(text.bytes, names[i][1]);
        text_fini(&text);
    }
    CHECK(segment_decode("..", 2, back, sizeof(back)) == 0);
    CHECK_STR(back, "..");
    CHECK(segment_decode("=a", 2, back, sizeof(back)) == 0);
    CHECK_STR(back, "=a");
}

CASE(decoding,
     "names are decoded once; broken escapes, NUL and too long ones are refused")
{
    char out[8] = "";

    CHECK(url_decode("a%2Fb", 5, out, sizeof(out)) == 0);
    CHECK_STR(out, "a/b");
    CHECK(url_decode("%252F", 5, out, sizeof(out)) == 0);
    CHECK_STR(out, "%2F");
    CHECK(url_decode("1234567", 7, out, sizeof(out)) == 0);
    CHECK(url_decode("12345678", 8, out, sizeof(out)) == -1);
    CHECK(url_decode("%", 1, out, sizeof(out)) == -1);
    CHECK(url_decode("%4", 2, out, sizeof(out)) == -1);
    CHECK(url_decode("%41", 2, out, sizeof(out)) == -1);
    CHECK(url_decode("%g1", 3, out, sizeof(out)) == -1);
    CHECK(url_decode("%00", 3, out, sizeof(out)) == -1);
}

CASE(hosts, "a request is served for an address, a local name or a configured name only")
{
    static const char *const good[] = {
        "127.0.0.1",
        "127.0.0.1:6562",
        "[::1]:6562",
        "[::1]",
        "localhost",
        "LOCALHOST:80",
        "app.localhost:1",
        "tritd:6562",
        "",
        "node7.example.org",
        "NODE7.example.org:6562",
        "tritd.example.com",
        "TRITD.example.com.:6562",
    };
    static const char *const bad[] = {
        "evil.example",
        "evil.example:6562",
        "127.0.0.1.evil.example",
        "localhost.evil",
        "[evil.example]:1",
        "x:y",
        "node7.example.org.evil:1",
        "[::1]evil.example",
        ":80",
    };

    static const char *const names[] = {"tritd.example.com", "*"};

    CHECK(host_allowed(NULL, "node7.example.org", names, 1));
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!host_allowed(good[i], "node7.example.org", names, 1))
            check_failed(__FILE__, __LINE__, "%s should be answered", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (host_allowed(bad[i], "node7.example.org", names, 1))
            check_failed(__FILE__, __LINE__, "%s should be refused", bad[i]);
    CHECK(host_allowed("evil.example", "", names, 2)); /* "*" is every name */
}

CASE(host_names, "--http-host takes names that a Host header can have, and *")
{
    static const char *const good[] = {"tritd.example.com", "a,B-1.example,*", "x_y",
                                       "xn--bcher-kva.example", "tritd.example.com."};
    static const char *const bad[] = {"",
                                      ",",
                                      "a,",
                                      "https://tritd.example",
                                      "tritd.example:6562",
                                      "*.example",
                                      ".",
                                      " ",
                                      "a b",
                                      "b\xc3\xbc"
                                      "cher.example"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (host_names_check(&good[i], 1, NULL) < 0)
            check_failed(__FILE__, __LINE__, "%s should be taken", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct failure failure = {.status = TRIT_OK};

        if (host_names_check(&bad[i], 1, &failure) == 0)
            check_failed(__FILE__, __LINE__, "%s should be refused", bad[i]);
        CHECK(strstr(failure.message, "http-host: \""));
    }
    CHECK(host_allowed("tritd.example.com", "", &good[4], 1));
}

CASE(bounded, "a text stops at its bound and remembers that it was truncated")
{
    struct text text = {0};
    static const char block[4096];

    for (int i = 0; i < TEXT_BYTES_MAX / 4096; i++)
        text_add(&text, block, sizeof(block));
    CHECK(!text.failed);
    text_put(&text, "x");
    CHECK(text.failed);
    CHECK_EQ(text.count, TEXT_BYTES_MAX);
    text_fini(&text);
}
