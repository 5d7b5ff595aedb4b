/* SPDX-License-Identifier: Apache-2.0 */
/* Header fields: those of a request while they arrive, bounded; and trailers,
 * kept until the body before them is written. */
#ifndef H2_FIELDS_H
#define H2_FIELDS_H

#include <nghttp2/nghttp2.h>

#include "h2/recycler.h"
#include "h2/rules.h"
#include "h2/session.h"

enum {
    /* A request with more fields than this is an attack (an HPACK bomb): the
     * connection ends, as in h2o and HAProxy. */
    HEADER_FIELDS_HARD_MAX = 1000,
    HEADER_BYTES_HARD_MAX = 256 << 10, /* decoded; the same */
    HEADER_FIELD_OVERHEAD = 32,        /* added to each field's size: RFC 9113, 6.5.2 */
    RESPONSE_FIELDS_MAX = 64,          /* our own; more is an error in our code */
    /* What a session keeps of a request for the next one. */
    KEPT_FIELDS_MAX = 24,
    KEPT_BYTES_MAX = 1024,
};

/* Fields that a peer has sent in one block, with those that were not kept. */
struct fields_seen {
    size_t count;
    size_t bytes; /* counted as MAX_HEADER_LIST_SIZE counts */
};

bool fields_too_large(const struct fields_seen *seen);

/* The fields of the request that arrives, one at a time in a session. They hold references of
 * nghttp2's buffers, and stay behind it: a connection mostly repeats its fields, and those that
 * nghttp2 decodes from its tables are then the same buffers again. */
struct header_block {
    struct h2_header *fields; /* `kept`, of which the request has `count` so far */
    struct field_buffers *buffers;
    size_t count, kept;
    size_t fields_capacity, buffers_capacity;
    bool passed;            /* the `kept` fields, all of a request, keep HTTP's rules */
    int64_t content_length; /* in bytes, what they say; -1: nothing */
};

void header_block_begin(struct header_block *block);

/* -1: out of memory. Beyond the limits it counts the field and does not keep it. */
int header_block_add(struct header_block *block, struct recycler *recycler,
                     struct fields_seen *seen, nghttp2_rcbuf *name, nghttp2_rcbuf *value);

/* All fields are there: checks them, unless they are those of the request before. */
struct rules_result header_block_check(struct header_block *block);

/* After the owner has read the fields. A small block stays for the next request; a larger one is
 * freed. */
void header_block_end(struct header_block *block, struct recycler *recycler);

void header_block_fini(struct header_block *block, struct recycler *recycler);

/* Points `nv` to the fields; borrows their text. `fixed`: nghttp2 may borrow it too. */
void fields_point(nghttp2_nv *nv, const struct h2_header *fields, size_t count,
                  bool fixed);

/* A copy in one allocation; the caller frees it with recycler_free. NULL: out of memory. */
struct fields {
    size_t count;
    nghttp2_nv nv[]; /* the text follows */
};
struct fields *fields_copy(const struct h2_header *fields, size_t count,
                           struct recycler *recycler);

#endif
