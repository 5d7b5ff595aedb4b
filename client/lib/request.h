/* SPDX-License-Identifier: Apache-2.0 */
/* The header fields of a request. */
#ifndef LIB_REQUEST_H
#define LIB_REQUEST_H

#include <nghttp2/nghttp2.h>
#include <stdint.h>

#include "proto/framing.h"

enum { REQUEST_HEADERS_MAX = 10 };

struct request {
    const char *scheme, *path, *authority;
    const char *authorization; /* "": none */
    uint32_t previous_attempts;
    char timeout[TIMEOUT_TEXT_BYTES];
    char previous[12];
    nghttp2_nv headers[REQUEST_HEADERS_MAX]; /* point to the members above */
    size_t count;
};

/* Fills `headers` from the first members. `deadline_ns` 0: none. */
void request_headers(struct request *request, uint64_t deadline_ns);

#endif
