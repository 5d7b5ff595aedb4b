/* SPDX-License-Identifier: Apache-2.0 */
#include "web/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool ip_parse(const char *text, struct ip *ip)
{
    struct ip parsed;

    memcpy(parsed.bytes, mapped, sizeof(mapped));
    if (inet_pton(AF_INET, text, parsed.bytes + sizeof(mapped)) != 1 &&
        inet_pton(AF_INET6, text, parsed.bytes) != 1)
        return false;
    *ip = parsed;
    return true;
}

bool ip_of(const struct sockaddr *address, struct ip *ip)
{
    const void *any = address; /* the caller's struct is as large as its family needs */

    switch (address->sa_family) {
    case AF_INET:
        memcpy(ip->bytes, mapped, sizeof(mapped));
        memcpy(ip->bytes + sizeof(mapped), &((const struct sockaddr_in *)any)->sin_addr,
               4);
        return true;
    case AF_INET6:
        memcpy(ip->bytes, &((const struct sockaddr_in6 *)any)->sin6_addr, IP_BYTES);
        return true;
    default:
        return false;
    }
}

bool ip_same_origin(const struct ip *a, const struct ip *b)
{
    static const uint8_t special[8]; /* ::1, and IPv4 */
    const bool whole = memcmp(a->bytes, special, sizeof(special)) == 0;

    return memcmp(a->bytes, b->bytes, whole ? IP_BYTES : sizeof(special)) == 0;
}

bool ip_is_loopback(const struct ip *ip)
{
    static const uint8_t one[IP_BYTES] = {[IP_BYTES - 1] = 1};

    return memcmp(ip->bytes, one, IP_BYTES) == 0 ||
           (memcmp(ip->bytes, mapped, sizeof(mapped)) == 0 && ip->bytes[12] == 127);
}

/* ---- networks ---------------------------------------------------------------------- */

bool network_parse(const char *text, struct network *network)
{
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : strlen(text);
    bool v4 = !memchr(text, ':', length);
    uint64_t bits = v4 ? 32 : 128;
    char address[IP_TEXT_BYTES];
    struct ip ip;

    if (length >= sizeof(address))
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    if (!ip_parse(address, &ip) || (slash && !parse_u64(slash + 1, bits, &bits)))
        return false;
    network->ip = ip;
    network->bits = (unsigned)bits + (v4 ? 96 : 0);
    return true;
}

static bool in_network(const struct network *network, const struct ip *ip)
{
    size_t whole = network->bits / 8;
    uint8_t mask = (uint8_t)(0xff00u >> network->bits % 8);

    return memcmp(network->ip.bytes, ip->bytes, whole) == 0 &&
           (whole == IP_BYTES ||
            ((network->ip.bytes[whole] ^ ip->bytes[whole]) & mask) == 0);
}

bool network_has(const struct network *networks, size_t count, const struct ip *ip)
{
    for (size_t i = 0; i < count; i++)
        if (in_network(&networks[i], ip))
            return true;
    return false;
}

/* ---- forwarded ----------------------------------------------------------------------- */

/* The address in an element: `192.0.2.1`, `192.0.2.1:5`, `[2001:db8::1]:5`, each perhaps
 * in quotes. */
static bool element_ip(const char *at, size_t length, char text[IP_TEXT_BYTES],
                       struct ip *ip)
{
    const char *colon;

    if (length >= 2 && at[0] == '"' && at[length - 1] == '"') {
        at++;
        length -= 2;
    }
    if (length > 0 && *at == '[') {
        const char *end = memchr(at, ']', length);

        if (!end)
            return false;
        length = (size_t)(end - ++at);
    } else if ((colon = memchr(at, ':', length)) &&
               !memchr(colon + 1, ':', length - (size_t)(colon + 1 - at))) {
        length = (size_t)(colon - at);
    }
    if (length >= IP_TEXT_BYTES)
        return false;
    memcpy(text, at, length);
    text[length] = '\0';
    return ip_parse(text, ip);
}

static void trim(const char **at, size_t *length)
{
    while (*length > 0 && (**at == ' ' || **at == '\t')) {
        (*at)++;
        (*length)--;
    }
    while (*length > 0 && ((*at)[*length - 1] == ' ' || (*at)[*length - 1] == '\t'))
        (*length)--;
}

/* Narrows a Forwarded element, "proto=https; for=192.0.2.1", to the value of `for`. */
static bool narrow(const char **at, size_t *length)
{
    const char *rest = *at, *end = *at + *length;

    while (rest < end) {
        const char *stop = memchr(rest, ';', (size_t)(end - rest));
        const char *pair = rest;
        size_t bytes = (size_t)((stop ? stop : end) - rest);

        trim(&pair, &bytes);
        if (bytes > 4 && strncasecmp(pair, "for=", 4) == 0) {
            *at = pair + 4;
            *length = bytes - 4;
            return true;
        }
        rest = stop ? stop + 1 : end;
    }
    return false;
}

bool forwarded_client(const struct network *trusted, size_t count, const char *forwarded,
                      const char *x_forwarded_for, char text[IP_TEXT_BYTES])
{
    const char *list = forwarded ? forwarded : x_forwarded_for, *end;

    if (!list)
        return false;
    end = list + strlen(list);
    for (;;) {
        const char *at = end;
        size_t length;
        struct ip ip;

        while (at > list && at[-1] != ',')
            at--;
        length = (size_t)(end - at);
        end = at > list ? at - 1 : NULL;
        trim(&at, &length);
        if ((forwarded && !narrow(&at, &length)) || !element_ip(at, length, text, &ip))
            return false;
        if (!network_has(trusted, count, &ip) || !end)
            return true;
    }
}
