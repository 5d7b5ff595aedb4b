/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as text. Documents are jansson's json_t. Their text is read and written by yyjson:
 * jansson 2.14 loses bytes of a name when memory runs out while it reads, and writes 0.1
 * as 0.10000000000000001. */
#ifndef JSON_H
#define JSON_H

#include <stddef.h>

#include "base/status.h"

struct json_t;

enum {
    JSON_DEPTH_MAX = 64,       /* of nested arrays and objects */
    JSON_READ_UNIQUE_KEYS = 1, /* a key may stand in an object once */
    /* Python writes NaN, Infinity and -Infinity as numbers, which JSON lacks. They are read as
     * strings that no text is likely to have, and printed as numbers again. */
    JSON_READ_INFINITY = 2,
    JSON_PRINT_INFINITY = 8,
    JSON_PRINT_INDENTED = 1, /* by two spaces; otherwise without blanks */
    JSON_PRINT_SORTED = 2,   /* keys in the order of strcmp */
    JSON_PRINT_NEWLINE = 4,  /* at the end */
    JSON_NUMBER_BYTES = 40,  /* of a number as text, with its NUL */
};

enum json_fault_kind {
    JSON_FAULT_NONE,
    JSON_FAULT_MEMORY,
    JSON_FAULT_DUPLICATE_KEY,
    JSON_FAULT_UTF8,   /* a string that is not UTF-8 */
    JSON_FAULT_NUL,    /* a string with a NUL character */
    JSON_FAULT_END,    /* the text ends too early */
    JSON_FAULT_NUMBER, /* an integer above 2^63-1 */
    JSON_FAULT_DEPTH,
    JSON_FAULT_SYNTAX,
};

struct json_fault {
    enum json_fault_kind kind;
    size_t position;   /* a byte of the text; 0 where it is unknown */
    size_t line;       /* from 1 */
    const char *words; /* "a duplicate key"; a literal */
};

/* RESOURCE_EXHAUSTED if memory ran out, otherwise INVALID_ARGUMENT. */
enum trit_status json_fault_status(const struct json_fault *fault);

/* The first byte of those strings; "Infinity" follows. */
#define JSON_INFINITY_MARK '\001'

/* One value with nothing behind it but blanks (RFC 8259: no comments, no trailing commas).
 * NULL: *fault says why. Later values of a duplicate key replace earlier ones. */
struct json_t *json_read(const char *text, size_t bytes, unsigned flags,
                         struct json_fault *fault);

/* Malloc'ed text with a NUL; *bytes, which may be NULL, is its length without it. Numbers
 * are the shortest that read back as the same double. NULL: memory ran out. */
char *json_print(const struct json_t *json, unsigned flags, size_t *bytes);

/* Writes one number as json_print does. A NaN or an infinity is "null". Returns `text`. */
const char *json_number_text(double value, char text[JSON_NUMBER_BYTES]);

#endif
