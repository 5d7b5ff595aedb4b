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

/* Each of `names` is one name or several, separated by commas. */
static bool listed(const char *name, const char *const *names, size_t count)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < count; i++) {
        for (const char *at = names[i]; *at; at += strspn(at, ",")) {
            size_t bytes = strcspn(at, ",");

            if (bytes == length && strncasecmp(name, at, length) == 0)
                return true;
            at += bytes;
        }
    }
    return false;
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
