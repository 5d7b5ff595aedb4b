/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: their text, and the structure that sockets take. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/status.h"

struct peer;

struct address {
    struct sockaddr_storage socket;
    socklen_t bytes;
};

/* Reads "host:port", "[v6]:port" or "unix:/path". An empty host or "*" means every
 * interface. It resolves names, which blocks, so call it only while the daemon starts. */
int listen_address_parse(struct address *address, const char *text,
                         struct failure *failure);

/* Writes a socket's address in the same notation, cut to `bytes`. */
void address_format(const struct address *address, char *text, size_t bytes);

/* Fills the address, `loopback` and `unix_socket` of a peer. */
void peer_of_address(const struct address *address, struct peer *peer);

/* Is it host:port, [v6]:port or unix:...? */
bool address_has_form(const char *text);

/* True for Unix and loopback addresses and for "localhost"; asks no name server. */
bool address_is_local(const char *text);

#endif
