/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of grpc.reflection, whose versions v1 and v1alpha are equal. */
#ifndef CODEC_REFLECTION_H
#define CODEC_REFLECTION_H

#include "proto/codec/codec.h"

enum { REFLECTION_NAME_BYTES_MAX = 511 };

/* The numbers are those of the fields of ServerReflectionRequest. */
enum reflection_kind {
    REFLECTION_NONE = 0,
    REFLECTION_FILE = 3,
    REFLECTION_SYMBOL = 4,
    REFLECTION_EXTENSION = 5,
    REFLECTION_EXTENSION_NUMBERS = 6,
    REFLECTION_SERVICES = 7,
};

struct reflection_request {
    enum reflection_kind kind;
    char name[REFLECTION_NAME_BYTES_MAX + 1]; /* of the file, symbol or type */
};

/* -1: malformed, a name is too long, or it is not UTF-8; `error` says which. */
int decode_reflection(const struct scan_part *root, struct reflection_request *out,
                      char error[CODEC_ERROR_BYTES]);

struct reflection_item { /* a descriptor, or the name of a service; borrowed */
    const void *bytes;
    size_t count;
};

/* The numbers are those of the fields of ServerReflectionResponse. */
enum reflection_answer {
    REFLECTION_FILES = 4,   /* items: descriptors */
    REFLECTION_NUMBERS = 5, /* `text`: the type, which has no extension */
    REFLECTION_LIST = 6,    /* items: names of services */
    REFLECTION_ERROR = 7,   /* `code` and `text` */
};

struct reflection_reply {
    const struct scan_part *request; /* its bytes are repeated */
    enum reflection_answer answer;
    const struct reflection_item *items;
    size_t item_count;
    uint32_t code;
    const char *text;
};

/* Returns the size of the message. Writes it if `out` is not NULL, which then holds that
 * many bytes. */
size_t encode_reflection(const struct reflection_reply *reply, uint8_t *out);

#endif
