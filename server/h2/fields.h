/* SPDX-License-Identifier: Apache-2.0 */
/* Header fields: those of a request while they arrive, bounded; and trailers,
 * kept until the body before them is written. */
#ifndef H2_FIELDS_H
#define H2_FIELDS_H

#include <nghttp2/nghttp2.h>

#include "h2/recycler.h"
#include "h2/session.h"

enum {
    /* A request with more fields than this is an attack (an HPACK bomb): the
     * connection ends, as in h2o and HAProxy. */
    HEADER_FIELDS_HARD_MAX = 1000,
    HEADER_BYTES_HARD_MAX = 256 << 10, /* decoded; the same */
    HEADER_FIELD_OVERHEAD = 32,        /* added to each field's size: RFC 9113, 6.5.2 */
    RESPONSE_FIELDS_MAX = 64,          /* our own; more is an error in our code */
};

/* A request's fields. `text` holds name NUL value NUL ... in order. `fields` gets
 * its pointers in header_block_seal, because `text` moves while it grows. */
struct header_block {
    struct h2_header *fields;
    size_t count, capacity;
    char *text;
    size_t text_used, text_capacity;
    size_t seen;       /* fields, with those that were not kept */
    size_t bytes_seen; /* counted as MAX_HEADER_LIST_SIZE counts */
};

/* Frees the fields; the counts stay. */
void header_block_fini(struct header_block *block, struct recycler *recycler);

/* -1: out of memory. Beyond the limits it counts the field and does not keep it. */
int header_block_add(struct header_block *block, struct recycler *recycler,
                     const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len);

bool header_block_too_large(const struct header_block *block);

void header_block_seal(struct header_block *block);

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
