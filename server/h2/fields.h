/* Header fields, in and out: those of a request as they arrive, bounded; and
 * trailers kept until the body before them has left. */
#ifndef H2_FIELDS_H
#define H2_FIELDS_H

#include <nghttp2/nghttp2.h>

#include "h2/session.h"

enum {
    /* A request with more fields than this is not a mistake: the connection
     * ends. (h2o's and HAProxy's answer to the HPACK bomb.) */
    HEADER_FIELDS_HARD_MAX = 1000,
    HEADER_FIELD_OVERHEAD = 32, /* RFC 9113, 6.5.2: how a list's size is counted */
    RESPONSE_FIELDS_MAX = 64,   /* ours; more is a programming error */
};

/* A request's fields. Text holds name NUL value NUL ... in order; `fields`
 * gets its pointers when the block is sealed, for text moves as it grows. */
struct header_block {
    struct h2_header *fields;
    size_t count, room;
    char *text;
    size_t text_used, text_room;
    size_t seen;       /* fields, also those not kept */
    size_t bytes_seen; /* as MAX_HEADER_LIST_SIZE counts them */
};

void header_block_fini(struct header_block *block);

/* 0; -1 on lack of memory. Beyond the limits it only counts. */
int header_block_add(struct header_block *block, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len);

bool header_block_too_large(const struct header_block *block);

void header_block_seal(struct header_block *block);

/* Points `nv` at the fields; the text is borrowed. */
void fields_point(nghttp2_nv *nv, const struct h2_header *fields, size_t count);

/* A copy in one allocation. NULL on lack of memory; free() it. */
struct fields {
    size_t count;
    nghttp2_nv nv[]; /* the text follows */
};
struct fields *fields_copy(const struct h2_header *fields, size_t count);

#endif
