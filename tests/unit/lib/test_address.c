/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as a user writes them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <trit.h>

#include "client/lib/address.h"
#include "tests/lib/check.h"

/* ---- helpers ---------------------------------------------------------------------- */

static void check_tcp(const char *text, const char *host, const char *port,
                      const char *authority)
{
    struct failure failure = {.status = TRIT_OK};
    struct address address;

    if (address_parse(text, &address, &failure) < 0)
        check_failed(__FILE__, __LINE__, "%s: %s", text, failure.message);
    CHECK_EQ(address.kind, ADDRESS_TCP);
    CHECK_STR(address.host, host);
    CHECK_STR(address.port, port);
    CHECK_STR(address.authority, authority);
    CHECK_STR(address.text, text);
}

static void check_refused(const char *text, const char *what)
{
    struct failure failure = {.status = TRIT_OK};
    struct address address = {.host = "untouched"};

    if (address_parse(text, &address, &failure) == 0)
        check_failed(__FILE__, __LINE__, "\"%s\" is taken for %s:%s", text, address.host,
                     address.port);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    CHECK_STR(failure.field, "address");
    CHECK_STR(address.host, "untouched");
    if (!strstr(failure.message, what) || !strstr(failure.message, text))
        check_failed(__FILE__, __LINE__, "\"%s\" should say \"%s\" and \"%s\"",
                     failure.message, text, what);
}

/* ---- cases ------------------------------------------------------------------------ */

CASE(parses, "an address gives a host, a port from 1 to 65535 and an authority")
{
    struct failure failure = {.status = TRIT_OK};
    struct address address;

    check_tcp("127.0.0.1:6561", "127.0.0.1", "6561", "127.0.0.1:6561");
    check_tcp("host", "host", "6561", "host:6561");
    check_tcp("host:1", "host", "1", "host:1");
    check_tcp("host:65535", "host", "65535", "host:65535");
    check_tcp("host:0000080", "host", "80", "host:80");
    check_tcp("[::1]", "::1", "6561", "[::1]:6561");
    check_tcp("[::1]:65535", "::1", "65535", "[::1]:65535");
    CHECK_EQ(address_parse("unix:/x:99999", &address, &failure), 0);
    CHECK_EQ(address.kind, ADDRESS_UNIX);
    CHECK_STR(address.host, "/x:99999");
}

CASE(refuses_ports, "any other port is refused, and the message names it and the range")
{
    static const char *const ports[] = {
        "",     "0",     "00000",  "65536",    "65537",      "72097",
        "-1",   "-6561", "+80",    " 80",      "80 ",        "8 0",
        "\t80", "80\n",  "0x50",   "80x",      "x",          "http",
        "6.5",  "80/",   "100000", "99999999", "4294967377", "18446744073709551697",
    };

    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        char text[64], what[96];

        snprintf(what, sizeof(what), "port \"%s\" is not a number from 1 to 65535",
                 ports[i]);
        snprintf(text, sizeof(text), "127.0.0.1:%s", ports[i]);
        check_refused(text, what);
        snprintf(text, sizeof(text), "[::1]:%s", ports[i]);
        check_refused(text, what);
    }
}

CASE(refuses_others, "an address that is neither host:port nor unix:/path is refused")
{
    static char long_path[200] = "unix:/";

    memset(long_path + 6, 'x', sizeof(long_path) - 7);
    check_refused("", "is not host:port or unix:/path");
    check_refused(":6561", "is not host:port or unix:/path");
    check_refused("::1", "is not host:port or unix:/path");
    check_refused("[::1", "is not host:port or unix:/path");
    check_refused("[::1]6561", "is not host:port or unix:/path");
    check_refused("a host:80", "is not host:port or unix:/path");
    check_refused("http://host:80", "is not host:port or unix:/path");
    check_refused("http://host", "is not host:port or unix:/path");
    check_refused("unix:", "is not host:port or unix:/path");
    check_refused(long_path, "is not host:port or unix:/path");
}

CASE(connect_refuses_bad_ports,
     "trit_connect refuses a bad port in its argument and in TRITD_ADDRESS")
{
    struct trit_connect_options options = {.size = sizeof(options),
                                           .address = "127.0.0.1:72097"};
    struct trit_client *client = NULL;
    struct trit_error error = TRIT_ERROR_INIT;

    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "address");
    CHECK(strstr(error.message, "port \"72097\" is not a number from 1 to 65535"));
    CHECK(!client);
    options.address = NULL;
    setenv("TRITD_ADDRESS", "localhost:65536", 1);
    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "\"65536\""));
    unsetenv("TRITD_ADDRESS");
}
