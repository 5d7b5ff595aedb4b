/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/address.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/number.h"

static const char port_default[] = "6561";
static const char unix_prefix[] = "unix:";

/* ---- parsing ------------------------------------------------------------------ */

static int malformed(const char *text, struct failure *failure)
{
    return fail(failure, TRIT_INVALID_ARGUMENT, "address",
                "address \"%.300s\" is not host:port or unix:/path", text);
}

static int parse_unix(const char *path, struct address *address, struct failure *failure)
{
    struct sockaddr_un name;

    if (*path == '\0' || strlen(path) >= sizeof(name.sun_path))
        return malformed(address->text, failure);
    address->kind = ADDRESS_UNIX;
    strcpy(address->host, path);
    strcpy(address->authority, "localhost"); /* a path is not a legal authority */
    return 0;
}

/* Reads a decimal number from 1 to 65535 and writes it in its shortest form.
 * getaddrinfo would read 65536 as 0. */
static int parse_port(const char *port, struct address *address, struct failure *failure)
{
    uint64_t value;

    if (!parse_u64(port, PORT_MAX, &value) || value == 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "address",
                    "address \"%.300s\": port \"%.40s\" is not a number from 1 to %d",
                    address->text, port, PORT_MAX);
    snprintf(address->port, sizeof(address->port), "%u", (unsigned)value);
    return 0;
}

static int parse_tcp(const char *text, struct address *address, struct failure *failure)
{
    const char *host = text, *end = strrchr(text, ':');
    const char *port = end ? end + 1 : port_default;
    size_t host_len;

    if (strstr(text, "://"))
        return malformed(text, failure); /* a URL: its port is not at fault */
    if (*text == '[') {                  /* [v6] or [v6]:port */
        host = text + 1;
        end = strchr(host, ']');
        if (!end || (end[1] != ':' && end[1] != '\0'))
            return malformed(text, failure);
        port = end[1] == ':' ? end + 2 : port_default;
    } else if (end && memchr(text, ':', (size_t)(end - text))) {
        return malformed(text, failure); /* a bare v6 address is ambiguous */
    }
    host_len = end ? (size_t)(end - host) : strlen(host);
    if (host_len == 0 || host_len > ADDRESS_HOST_BYTES_MAX)
        return malformed(text, failure);
    if (parse_port(port, address, failure) < 0)
        return -1;
    if (strpbrk(text, " \t\r\n/"))
        return malformed(text, failure);
    address->kind = ADDRESS_TCP;
    memcpy(address->host, host, host_len);
    address->host[host_len] = '\0';
    snprintf(address->authority, sizeof(address->authority),
             *text == '[' ? "[%s]:%s" : "%s:%s", address->host, address->port);
    return 0;
}

int address_parse(const char *text, struct address *address, struct failure *failure)
{
    struct address parsed = {.kind = ADDRESS_TCP};

    if (strlen(text) > ADDRESS_TEXT_BYTES_MAX)
        return malformed(text, failure);
    strcpy(parsed.text, text);
    if (strncmp(text, unix_prefix, sizeof(unix_prefix) - 1) == 0) {
        if (parse_unix(text + sizeof(unix_prefix) - 1, &parsed, failure) < 0)
            return -1;
    } else if (parse_tcp(text, &parsed, failure) < 0) {
        return -1;
    }
    *address = parsed;
    return 0;
}
