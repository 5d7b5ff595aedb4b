/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a call as header fields: grpc-status, grpc-message and the
 * google.rpc details. */
#ifndef GRPC_TRAILERS_H
#define GRPC_TRAILERS_H

#include "base/status.h"
#include "h2/session.h"

enum { TRAILER_TEXT_BYTES = 2048, TRAILER_DETAIL_BYTES = 3072, TRAILER_FIELDS_MAX = 6 };

struct trailers { /* fields point into the struct: do not copy it */
    char status[4];
    char retry_ms[12];
    char message[TRAILER_TEXT_BYTES];
    char details[TRAILER_DETAIL_BYTES];
    struct h2_header fields[TRAILER_FIELDS_MAX];
    size_t count;
};

/* `only`: a Trailers-Only response, which has a content-type. `accept`: adds
 * grpc-accept-encoding, for a request with an unsupported compression. */
void trailers_build(struct trailers *trailers, const struct failure *failure, bool only,
                    bool accept);

#endif
