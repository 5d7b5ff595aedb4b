/* SPDX-License-Identifier: Apache-2.0 */
#include "net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/number.h"
#include "base/peer.h"

static const char unix_prefix[] = "unix:";

static bool is_unix(const char *text)
{
    return strncmp(text, unix_prefix, sizeof(unix_prefix) - 1) == 0;
}

static int parse_unix(struct address *address, const char *path, struct failure *failure)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t count = strlen(path);

    if (path[0] != '/')
        return fail(failure, TRIT_INVALID_ARGUMENT, "listen",
                    "\"unix:%.200s\": the path of a Unix socket must be absolute", path);
    if (count >= sizeof(un.sun_path))
        return fail(failure, TRIT_INVALID_ARGUMENT, "listen",
                    "\"unix:%.200s\": the path of a Unix socket has at most %zu bytes",
                    path, sizeof(un.sun_path) - 1);
    memcpy(un.sun_path, path, count + 1);
    memcpy(&address->socket, &un, sizeof(un));
    address->bytes = sizeof(un);
    return 0;
}

/* Splits "host:port" or "[host]:port". */
static bool split(const char *text, char *host, size_t host_bytes, const char **port)
{
    const char *colon = strrchr(text, ':');
    const char *start = text, *end = colon;

    if (!colon || colon[1] == '\0')
        return false;
    if (*text == '[') {
        start = text + 1;
        end = colon - 1;
        if (end < start || *end != ']')
            return false;
    } else if (memchr(text, ':', (size_t)(colon - text))) {
        return false; /* IPv6 without brackets is ambiguous */
    }
    if ((size_t)(end - start) >= host_bytes)
        return false;
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = '\0';
    *port = colon + 1;
    return true;
}

int listen_address_parse(struct address *address, const char *text,
                         struct failure *failure)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    char host[NI_MAXHOST];
    const char *port;
    uint64_t number;
    int code;

    if (is_unix(text))
        return parse_unix(address, text + sizeof(unix_prefix) - 1, failure);
    if (!split(text, host, sizeof(host), &port))
        return fail(failure, TRIT_INVALID_ARGUMENT, "listen",
                    "\"%.200s\" is not host:port, [v6]:port or unix:/path", text);
    if (!parse_u64(port, 65535, &number))
        return fail(failure, TRIT_INVALID_ARGUMENT, "listen",
                    "\"%.200s\": port \"%.40s\" is not a number from 0 to 65535", text,
                    port);
    if (strcmp(host, "*") == 0)
        host[0] = '\0';
    code = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
    if (code != 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "listen", "\"%.200s\": %s", text,
                    gai_strerror(code));
    memcpy(&address->socket, found->ai_addr, found->ai_addrlen);
    address->bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

void address_format(const struct address *address, char *text, size_t bytes)
{
    const struct sockaddr *any = (const struct sockaddr *)&address->socket;
    char host[INET6_ADDRSTRLEN] = "";

    if (any->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address->socket;

        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(text, bytes, "%s:%u", host, ntohs(in->sin_port));
    } else if (any->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->socket;

        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        snprintf(text, bytes, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_un *un = (const struct sockaddr_un *)&address->socket;

        /* A client's Unix socket has no path: its address ends after the family. */
        snprintf(text, bytes, "unix:%s",
                 address->bytes > sizeof(sa_family_t) ? un->sun_path : "");
    }
}

static bool is_loopback4(uint32_t host_order)
{
    return host_order >> 24 == 127;
}

static bool is_loopback6(const struct in6_addr *in6)
{
    if (IN6_IS_ADDR_V4MAPPED(in6))
        return in6->s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(in6);
}

void peer_of_address(const struct address *address, struct peer *peer)
{
    const struct sockaddr *any = (const struct sockaddr *)&address->socket;

    address_format(address, peer->address, sizeof(peer->address));
    peer->unix_socket = any->sa_family == AF_UNIX;
    if (any->sa_family == AF_INET)
        peer->loopback = is_loopback4(
            ntohl(((const struct sockaddr_in *)&address->socket)->sin_addr.s_addr));
    else if (any->sa_family == AF_INET6)
        peer->loopback =
            is_loopback6(&((const struct sockaddr_in6 *)&address->socket)->sin6_addr);
    else
        peer->loopback = true;
}

bool address_has_form(const char *text)
{
    char host[NI_MAXHOST];
    const char *port;

    return is_unix(text) || split(text, host, sizeof(host), &port);
}

bool address_is_local(const char *text)
{
    char host[NI_MAXHOST];
    struct in6_addr in6;
    struct in_addr in;
    const char *port;

    if (is_unix(text))
        return true;
    if (!split(text, host, sizeof(host), &port))
        return false;
    if (inet_pton(AF_INET, host, &in) == 1)
        return is_loopback4(ntohl(in.s_addr));
    if (inet_pton(AF_INET6, host, &in6) == 1)
        return is_loopback6(&in6);
    return strcmp(host, "localhost") == 0;
}
