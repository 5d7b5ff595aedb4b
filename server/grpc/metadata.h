/* SPDX-License-Identifier: Apache-2.0 */
/* Custom metadata: header fields of a request that a method reads, and fields that a
 * method adds to its reply. A name that ends in "-bin" has a binary value, which is
 * base64 on the wire. Everything runs on the loop's thread. */
#ifndef GRPC_METADATA_H
#define GRPC_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "h2/session.h"

struct account;

enum {
    METADATA_FIELDS_MAX = 16, /* that one method adds to its reply's headers, and to
                                   its trailers */
    METADATA_BYTES_MAX =
        2048, /* name + value + 32 of those, in all; RESOURCE_EXHAUSTED */
};

enum metadata_place { METADATA_HEADERS, METADATA_TRAILERS, METADATA_PLACES };

/* The fields of a request; borrowed. */
struct request_headers {
    const struct h2_header *fields;
    size_t count;
};

/* The first field of this name, unchecked; NULL: there is none. */
const char *header_value(const struct request_headers *headers, const char *name);

/* Whether it has only characters that gRPC allows in a text field: printable ASCII. */
bool metadata_is_text(const char *value);

/* The value of the first field `name` if it is text (metadata_is_text); else NULL. */
const char *metadata_text(const struct request_headers *headers, const char *name);

/* Decodes the first value of the field `name`, which ends in "-bin". A field can hold
 * several values, joined by ','. Returns the number of bytes; -1: there is none, it is
 * not base64, or it exceeds `capacity`. */
ptrdiff_t metadata_binary(const struct request_headers *headers, const char *name,
                          uint8_t *out, size_t capacity);

/* What a method adds to its reply. */
struct metadata {
    struct h2_header fields[METADATA_PLACES][METADATA_FIELDS_MAX];
    size_t counts[METADATA_PLACES];
    size_t bytes;
};

/* Adds a field to *metadata, which is NULL before the first one. Copies the value.
 * `name` is a literal in lower case and without the prefix "grpc-". A text value is
 * printable ASCII. Memory is charged to `account`. -1, RESOURCE_EXHAUSTED: beyond METADATA_FIELDS_MAX or
 * METADATA_BYTES_MAX, or memory ran out. */
int metadata_add(struct metadata **metadata, struct account *account,
                 enum metadata_place place, const char *name, const void *value,
                 size_t count, struct failure *failure);

void metadata_free(struct account *account, struct metadata *metadata);

#endif
