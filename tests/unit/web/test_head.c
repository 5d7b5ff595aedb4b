/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of requests, networks and forwarded addresses: pure functions over text. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "web/head.h"
#include "web/network.h"

/* ---- heads ---------------------------------------------------------------------------- */

/* The result for a whole text that comes in pieces of `cut` bytes. */
static int examine(const char *text, size_t count, size_t cut, size_t *length,
                   unsigned *http_status, struct failure *failure)
{
    struct head head = {0};

    *failure = (struct failure){.status = TRIT_OK};
    for (size_t have = cut; have < count + cut; have += cut) {
        int result =
            head_examine(&head, text, have < count ? have : count, length, failure);

        *http_status = head.http_status;
        if (result != 0)
            return result;
    }
    return 0;
}

static void check_refused(const char *text, unsigned wanted, const char *words)
{
    size_t length;

    for (size_t cut = 1; cut < 40; cut += 3) {
        struct failure failure;
        unsigned http_status = 0;

        if (examine(text, strlen(text), cut, &length, &http_status, &failure) != -1 ||
            http_status != wanted || !strstr(failure.message, words))
            check_failed(__FILE__, __LINE__, "%.60s: %u \"%s\"", text, http_status,
                         failure.message);
    }
}

CASE(whole_heads, "a complete head is found however it is cut")
{
    static const char *const good[] = {
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /v1/runs?after=%20 HTTP/1.0\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: [::1]:80\r\nX: \xc3\xa9\t:\r\nEmpty:\r\n\r\n",
        "PATCH * HTTP/1.1\r\nHost:\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nHost: \t a:80 \r\n\r\n",
        "GET http://a.example HTTP/1.1\r\nHost: b\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        size_t whole = strlen(good[i]);
        char text[256];

        snprintf(text, sizeof(text), "%sGET /next", good[i]);
        for (size_t cut = 1; cut <= whole; cut++) {
            struct failure failure;
            unsigned http_status;
            size_t length = 0;

            CHECK_EQ(examine(text, strlen(text), cut, &length, &http_status, &failure),
                     1);
            CHECK_EQ(length, whole);
        }
        for (size_t count = 0; count < whole; count++) {
            struct failure failure;
            unsigned http_status;
            size_t length;

            CHECK_EQ(examine(text, count, 7, &length, &http_status, &failure), 0);
        }
    }
}

CASE(bad_heads, "a head that two parsers could read differently is refused with a status")
{
    check_refused("\x16\x03\x01", 400, "http://");
    check_refused("\x01GET / HTTP/1.1\r\n\r\n", 400, "not an HTTP request");
    check_refused(" GET / HTTP/1.1\r\n\r\n", 400, "not an HTTP request");
    check_refused("GET\r\n\r\n", 400, "not an HTTP request");
    check_refused("GET / \r\n\r\n", 400, "not an HTTP request");
    check_refused("GET  / HTTP/1.1\r\n\r\n", 400, "target");
    check_refused("GET /\x7f HTTP/1.1\r\n\r\n", 400, "target");
    check_refused("GET /\xc3\xa9 HTTP/1.1\r\n\r\n", 400, "target");
    check_refused("GET / x HTTP/1.1\r\n\r\n", 400, "not an HTTP request");
    check_refused("GET / HTTP/2.0\r\n\r\n", 505, "HTTP/1.1");
    check_refused("GET / HTTP/1.2\r\n\r\n", 505, "HTTP/1.1");
    check_refused("GET / HTTP/1.10\r\n\r\n", 505, "HTTP/1.1");
    check_refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "gRPC has a port");
    check_refused("GET / HTTP/1.1\n\n", 400, "CRLF");
    check_refused("GET / HTTP/1.1\r\nHost: a\n\r\n", 400, "CRLF");
    check_refused("GET / HTTP/1.1\r\nHost: a\r\rX: y\r\n\r\n", 400, "CRLF");
    check_refused("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400, "malformed");
    check_refused("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "malformed");
    check_refused("GET / HTTP/1.1\r\n: a\r\n\r\n", 400, "malformed");
    check_refused("GET / HTTP/1.1\r\nname\r\n\r\n", 400, "malformed");
    check_refused("GET / HTTP/1.1\r\nX: a\x01\r\n\r\n", 400, "control character");
    check_refused("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", 400, "more than one");
    check_refused("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "Host: not a host");
    check_refused("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "Host: not a host");
    check_refused("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "Host: not a host");
    check_refused("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, "Host: not a host");
    check_refused("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400, "Host: not a host");
    check_refused("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
                  "content-length: 5\r\n\r\n12345",
                  400, "more than one Content-Length");
    check_refused("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n", 400,
                  "Content-Length: not a number");
    check_refused("GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400,
                  "Content-Length: not a number");
    check_refused("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400,
                  "Content-Length: not a number");
    check_refused("GET / HTTP/1.1\r\n\r\n", 400, "Host: missing");
    check_refused("GET http://a/ HTTP/1.1\r\n\r\n", 400, "Host: missing");
    check_refused("GET livez HTTP/1.1\r\nHost: a\r\n\r\n", 400, "neither a path nor");
    check_refused("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "neither a path");
    check_refused("GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "neither a path");
    check_refused("GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400,
                  "without a valid host");
    check_refused("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "valid host");
}

static void check_path(const char *target, const char *path, const char *authority)
{
    char text[512];
    struct head head = {.cut_bytes = 7};
    struct failure failure = {.status = TRIT_OK};
    size_t length = 0, count, cut;
    char wanted[512];

    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: b\r\n\r\nGET /next", target);
    snprintf(wanted, sizeof(wanted), "GET %s HTTP/1.1\r\nHost: b\r\n\r\nGET /next", path);
    count = strlen(text);
    CHECK_EQ(head_examine(&head, text, count, &length, &failure), 1);
    cut = head_to_path(&head, text, count);
    text[count - cut] = '\0';
    CHECK_STR(text, wanted);
    CHECK_EQ(length - cut, strlen(wanted) - strlen("GET /next"));
    CHECK_STR(head.authority, authority);
}

CASE(absolute, "a target that is an http URI becomes its path, and its host is noted")
{
    char text[400] = "GET http://";

    check_path("/livez", "/livez", "");
    check_path("/http://a/b", "/http://a/b", "");
    check_path("http://a/livez?x=/y", "/livez?x=/y", "a");
    check_path("HTTPS://a.example:80/", "/", "a.example:80");
    check_path("http://[::1]:80", "/", "[::1]:80");
    check_path("http://a?x", "/?x", "a");
    memset(text + 11, 'h', 256);
    strcpy(text + 11 + 256, "/ HTTP/1.1\r\nHost: a\r\n\r\n");
    check_refused(text, 400, "valid host"); /* HTTP_AUTHORITY_BYTES - 1 are the most */
}

/* "GET /aaa HTTP/1.0" of `line` bytes, fields of `rest` bytes, and the empty line. */
static char *sized(size_t line, size_t rest)
{
    char *text = malloc(line + rest + 8);

    CHECK(text);
    memset(text, 'a', line + rest + 8);
    memcpy(text, "GET /", 5);
    memcpy(text + line - 9, " HTTP/1.0\r\n", 11);
    memcpy(text + line + 2, "X: ", 3);
    memcpy(text + line + 2 + rest - 4, "\r\n\r\n", 5);
    return text;
}

CASE(bounds, "a request line may have 8192 bytes, a head 16384 bytes and 100 fields")
{
    static const struct {
        size_t line, rest;
        int result;
        unsigned http_status;
    } cases[] = {
        {8192, 1000, 1, 0},       {8193, 1000, -1, 414},       {16000, 1000, -1, 414},
        {100, 16384 - 102, 1, 0}, {100, 16384 - 101, -1, 431}, {100, 65536, -1, 431},
    };
    char many[4096] = "GET / HTTP/1.1\r\n";
    size_t used = strlen(many);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = sized(cases[i].line, cases[i].rest);

        for (size_t cut = 1; cut < 40000; cut = cut * 3 + 1) {
            struct failure failure;
            unsigned http_status = 0;
            size_t length = 0;
            int result =
                examine(text, strlen(text), cut, &length, &http_status, &failure);

            if (result != cases[i].result || http_status != cases[i].http_status)
                check_failed(__FILE__, __LINE__, "%zu+%zu in pieces of %zu: %d %u %s",
                             cases[i].line, cases[i].rest, cut, result, http_status,
                             failure.message);
        }
        free(text);
    }
    for (int i = 0; i < 101; i++)
        used += (size_t)sprintf(many + used, "X: y\r\n");
    strcpy(many + used, "\r\n");
    check_refused(many, 431, "100 header fields");
}

/* ---- networks --------------------------------------------------------------------------- */

static bool inside(const char *network, const char *address)
{
    struct network parsed;
    struct ip ip;

    CHECK(network_parse(network, &parsed));
    CHECK(ip_parse(address, &ip));
    return network_has(&parsed, 1, &ip);
}

static bool same_origin(const char *a, const char *b)
{
    struct ip first, second;

    CHECK(ip_parse(a, &first));
    CHECK(ip_parse(b, &second));
    CHECK_EQ(ip_same_origin(&first, &second), ip_same_origin(&second, &first));
    return ip_same_origin(&first, &second);
}

CASE(origins, "bounds by address count an IPv4 address, or 64 bits of IPv6, as one")
{
    CHECK(same_origin("192.0.2.1", "192.0.2.1"));
    CHECK(!same_origin("192.0.2.1", "192.0.2.2"));
    CHECK(same_origin("2001:db8::1", "2001:db8::2:3:4:5"));
    CHECK(!same_origin("2001:db8::1", "2001:db8:0:1::1"));
    CHECK(same_origin("::1", "::1"));
    CHECK(!same_origin("::1", "127.0.0.1"));
    CHECK(!same_origin("::1", "2001:db8::1"));
}

CASE(networks, "an address is in a network by the bits of its prefix")
{
    static const char *const wrong[] = {"",           "x",        "1.2.3",
                                        "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/-1",
                                        "::1/129",    "::1/64 ",  "/8"};
    struct network network;

    CHECK(inside("192.0.2.1", "192.0.2.1") && !inside("192.0.2.1", "192.0.2.2"));
    CHECK(inside("10.0.0.0/8", "10.255.0.1") && !inside("10.0.0.0/8", "11.0.0.1"));
    CHECK(inside("10.1.0.0/13", "10.7.255.255") && !inside("10.1.0.0/13", "10.8.0.0"));
    CHECK(inside("0.0.0.0/0", "255.1.2.3") && !inside("0.0.0.0/0", "2001:db8::1"));
    CHECK(inside("2001:db8::/33", "2001:db8:7fff::1"));
    CHECK(!inside("2001:db8::/33", "2001:db8:8000::1"));
    CHECK(inside("::/0", "2001:db8::1") && inside("::/0", "1.2.3.4"));
    CHECK(inside("127.0.0.1", "::ffff:127.0.0.1"));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (network_parse(wrong[i], &network))
            check_failed(__FILE__, __LINE__, "\"%s\" should be refused", wrong[i]);
}

static void check_client(const char *forwarded, const char *x, const char *wanted)
{
    struct network trusted[2];
    char text[IP_TEXT_BYTES];
    bool found;

    CHECK(network_parse("10.0.0.0/8", &trusted[0]));
    CHECK(network_parse("::1", &trusted[1]));
    found = forwarded_client(trusted, 2, forwarded, x, text);
    if (found != (wanted != NULL) || (wanted && strcmp(text, wanted) != 0))
        check_failed(__FILE__, __LINE__, "%s / %s gave %s", forwarded ? forwarded : "-",
                     x ? x : "-", found ? text : "nothing");
}

CASE(forwarded,
     "the client is the rightmost forwarded address that is not a trusted proxy")
{
    check_client(NULL, NULL, NULL);
    check_client(NULL, "192.0.2.7", "192.0.2.7");
    check_client(NULL, "8.8.8.8, 192.0.2.7 ,10.1.2.3", "192.0.2.7"); /* 8.8.8.8: forged */
    check_client(NULL, "10.1.2.3,10.1.2.4", "10.1.2.3");
    check_client(NULL, "192.0.2.7:443", "192.0.2.7");
    check_client(NULL, "2001:db8::7", "2001:db8::7");
    check_client(NULL, "[2001:db8::7]:443", "2001:db8::7");
    check_client(NULL, "192.0.2.7, unknown", NULL);
    check_client(NULL, "", NULL);
    check_client(NULL, "<script>", NULL);
    check_client("for=192.0.2.7", NULL, "192.0.2.7");
    check_client("for=1.1.1.1, proto=https; For=\"[2001:db8::7]:443\";by=10.1.1.1", NULL,
                 "2001:db8::7");
    check_client("for=192.0.2.7, for=10.0.0.1", "1.1.1.1", "192.0.2.7");
    check_client("for=_hidden", "1.1.1.1", NULL);
    check_client("proto=https", NULL, NULL);
}
