/* SPDX-License-Identifier: Apache-2.0 */
/* The address of a daemon. */
#ifndef LIB_ADDRESS_H
#define LIB_ADDRESS_H

#include "base/status.h"

enum {
    ADDRESS_HOST_BYTES_MAX = 255,
    ADDRESS_TEXT_BYTES_MAX = 300,
    PORT_MAX = 65535,
    PORT_DIGITS_MAX = 5,
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

#endif
