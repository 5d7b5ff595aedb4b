/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses and networks, and who is behind a proxy. */
#ifndef WEB_NETWORK_H
#define WEB_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IP_BYTES = 16, IP_TEXT_BYTES = 64 };

struct sockaddr;

struct ip { /* IPv6; IPv4 as ::ffff:a.b.c.d */
    uint8_t bytes[IP_BYTES];
};

struct network {
    struct ip ip;
    unsigned bits; /* of the prefix, of 128 */
};

/* Reads "192.0.2.1", "::1". */
bool ip_parse(const char *text, struct ip *ip);
/* False: not an IP address. */
bool ip_of(const struct sockaddr *address, struct ip *ip);

/* Whether bounds by address count both as one: equal, or of one IPv6 network of 64 bits,
 * which is what one site has. */
bool ip_same_origin(const struct ip *a, const struct ip *b);
bool ip_is_loopback(const struct ip *ip);

/* Reads an address or "ADDRESS/BITS". */
bool network_parse(const char *text, struct network *network);
bool network_has(const struct network *networks, size_t count, const struct ip *ip);

/* The client for which trusted proxies forwarded a request: the rightmost address of
 * `forwarded` (RFC 7239) or else `x_forwarded_for` that is not a trusted proxy itself.
 * Either may be NULL. False: there is none, or it is not an IP address. */
bool forwarded_client(const struct network *trusted, size_t count, const char *forwarded,
                      const char *x_forwarded_for, char text[IP_TEXT_BYTES]);

#endif
