/* Addresses as people write them, and as sockets want them. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/status.h"

enum { ADDRESS_TEXT_MAX = 300 }; /* bytes, with the NUL: a host name and a port */

struct address {
    struct sockaddr_storage socket;
    socklen_t bytes;
};

/* "host:port", "[v6]:port", "unix:/path". An empty host or "*" is every
 * interface. A name is looked up, which blocks: for start only. */
int address_parse(struct address *address, const char *text, struct failure *failure);

/* The address that a socket got, in the same notation. Cut to fit. */
void address_format(const struct address *address, char *text, size_t bytes);

/* Unix or loopback, without asking a name server ("localhost" counts). */
bool address_is_local(const char *text);

#endif
