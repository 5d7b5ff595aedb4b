/* SPDX-License-Identifier: Apache-2.0 */
/* The address of a daemon, and connecting to it. */
#ifndef LIB_ADDRESS_H
#define LIB_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

enum {
    ADDRESS_HOST_BYTES_MAX = 255,
    ADDRESS_TEXT_BYTES_MAX = 300,
    PORT_MAX = 65535,
    PORT_DIGITS_MAX = 5,
    CONNECT_MS_MAX = 20 * 1000, /* of one attempt at one address */
};

enum address_kind { ADDRESS_TCP, ADDRESS_UNIX };

struct address {
    enum address_kind kind;
    char text[ADDRESS_TEXT_BYTES_MAX + 1];      /* as given, for messages */
    char host[ADDRESS_HOST_BYTES_MAX + 1];      /* or the socket's path */
    char port[PORT_DIGITS_MAX + 1];             /* 1 to PORT_MAX, in decimal */
    char authority[ADDRESS_TEXT_BYTES_MAX + 1]; /* the :authority of requests */
};

/* Reads "host:port", "host", "[v6]:port" or "unix:/path". -1 (INVALID_ARGUMENT): the
 * message has the text, and the port when the port is wrong. */
int address_parse(const char *text, struct address *address, struct failure *failure);

/* The milliseconds that one attempt may take; 0: the deadline has passed. And when a
 * whole attempt, with its TLS handshake, is given up. */
int address_budget_ms(uint64_t deadline_ns);
uint64_t address_give_up(uint64_t deadline_ns);

/* A connected non-blocking socket, or -1 with UNAVAILABLE or DEADLINE_EXCEEDED.
 * `deadline_ns` is monotonic; 0: none. The deadline does not interrupt getaddrinfo,
 * which resolves names. */
int address_connect(const struct address *address, uint64_t deadline_ns,
                    struct failure *failure);

/* Whether a connected socket leads to this machine: to a Unix socket or a loopback
 * address. */
bool socket_is_local(int fd);

#endif
