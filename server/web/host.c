/* SPDX-License-Identifier: Apache-2.0 */
#include "web/host.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

static bool ends_with(const char *name, const char *tail)
{
    size_t n = strlen(name), t = strlen(tail);

    return n >= t && strcasecmp(name + n - t, tail) == 0;
}

/* Each of `names` is one name or several, separated by commas. A dot at the end of one does
 * not count, as in name_of. */
static bool listed(const char *name, const char *const *names, size_t count)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < count; i++) {
        for (const char *at = names[i]; *at; at += strspn(at, ",")) {
            size_t bytes = strcspn(at, ",");
            bool dot = bytes > 1 && at[bytes - 1] == '.';

            if (bytes - dot == length && strncasecmp(name, at, length) == 0)
                return true;
            at += bytes;
        }
    }
    return false;
}

/* Letters of other alphabets reach a server in their ASCII form (xn--...). */
static bool is_name(const char *name, size_t bytes)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-._";

    return (bytes == 1 && *name == '*') ||
           (bytes > 0 && *name != '.' && strspn(name, allowed) >= bytes);
}

int host_names_check(const char *const *names, size_t count, struct failure *failure)
{
    for (size_t i = 0; i < count; i++) {
        const char *at = names[i];

        do {
            size_t bytes = strcspn(at, ",");

            if (!is_name(at, bytes))
                return fail_field(failure, TRIT_INVALID_ARGUMENT, "http-host",
                                  "\"%.*s\" is not a host name; give the name alone, "
                                  "without scheme, port and pattern, or *",
                                  bytes < 100 ? (int)bytes : 100, at);
            at += bytes;
        } while (*at++);
    }
    return 0;
}

/* Cuts the port off, and a dot at the end, which names the same host. */
static bool name_of(const char *host, char *name, size_t bytes)
{
    const char *port;
    size_t length;

    if (host[0] == '[') {
        length = strcspn(++host, "]");
        port = host + length + (host[length] == ']');
    } else {
        length = strcspn(host, ":");
        port = host + length;
    }
    if ((*port != ':' && *port != '\0') || port[strspn(port, ":0123456789")] != '\0')
        return false;
    if (length > 1 && host[length - 1] == '.')
        length--;
    if (length == 0 || length >= bytes)
        return false;
    memcpy(name, host, length);
    name[length] = '\0';
    return true;
}

bool host_allowed(const char *host, const char *bound_name, const char *const *names,
                  size_t count)
{
    unsigned char address[sizeof(struct in6_addr)];
    char name[256];

    if (!host || host[0] == '\0' || listed("*", names, count))
        return true;
    if (!name_of(host, name, sizeof(name)))
        return false;
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return true;
    /* No public domain has a name without a dot. */
    return !strchr(name, '.') || ends_with(name, ".localhost") ||
           strcasecmp(name, bound_name) == 0 || listed(name, names, count);
}
