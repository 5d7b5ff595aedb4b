/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a call as header fields: grpc-status, grpc-message and the
 * google.rpc details. */
#ifndef GRPC_TRAILERS_H
#define GRPC_TRAILERS_H

#include "base/status.h"
#include "grpc/metadata.h"

/* The sum stays below 8 KiB with the fields that a method adds: more is refused by
 * clients of grpc-java. */
enum {
    TRAILER_TEXT_BYTES = 2048,
    TRAILER_DETAIL_BYTES = 3072,
    TRAILER_FIELDS_MAX = 6 + METADATA_PLACES * METADATA_FIELDS_MAX,
};

struct trailers { /* fields point into the struct: do not copy it */
    char status[12];
    char retry_ms[12];
    char message[TRAILER_TEXT_BYTES];
    char details[TRAILER_DETAIL_BYTES];
    struct h2_header fields[TRAILER_FIELDS_MAX];
    size_t count;
};

/* What ends a call without failure and metadata, after its messages: one field. */
extern const struct h2_header trailers_ok;

/* `metadata`: what the method added; may be NULL. `only`: a Trailers-Only response, which
 * has a content-type and the metadata of the headers. A failure with UNIMPLEMENTED also
 * says which codings are supported. */
void trailers_build(struct trailers *trailers, const struct failure *failure,
                    const struct metadata *metadata, bool only);

#endif
