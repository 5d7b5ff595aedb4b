/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the listening socket for an address given as text. */
#ifndef WEB_LISTEN_H
#define WEB_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum { LISTEN_NAME_BYTES = 256 };

struct listening {
    int fd; /* the caller closes */
    bool loopback;
    bool ipv6;
    char name[LISTEN_NAME_BYTES]; /* the host part of the address, as given */
};

/* For --check-config: INVALID_ARGUMENT if it has not the form that listen_on takes. */
int listen_check(const char *address, struct failure *failure);

/* `address`: "host:port", "[v6]:port" or ":port" (every interface); port 0 means a
 * free one. Writes the address that the socket has to `bound`. -1: INVALID_ARGUMENT
 * (malformed or unknown address), UNAVAILABLE (the address is in use). */
int listen_on(struct listening *listening, const char *address, char *bound,
              size_t bound_bytes, struct failure *failure);

#endif
