/* SPDX-License-Identifier: Apache-2.0 */
/* A growing text, into which a reply's body is written. It remembers that memory ran
 * out, so a writer checks once, at the end. */
#ifndef WEB_TEXT_H
#define WEB_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum { TEXT_BYTES_MAX = 8 << 20 }; /* of one reply; a full page is much smaller */

struct text {
    char *bytes; /* malloc'ed; not NUL-terminated */
    size_t count, capacity;
    bool failed; /* out of memory or above the bound: the text is incomplete */
};

void text_fini(struct text *text);

void text_add(struct text *text, const char *bytes, size_t count);
void text_put(struct text *text, const char *words);
void text_format(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* For HTML text and quoted attributes: & < > " ' become entities; deceptive characters
 * and bytes that are not UTF-8 become escapes (proto/utf8.h). */
void text_html(struct text *text, const char *words);

/* JSON as jansson writes it, cut between characters; deceptive characters become
 * escapes. */
void text_json(struct text *text, const char *json, size_t count);

/* For a query value: percent-encodes all bytes except letters, digits and -._~ */
void text_url(struct text *text, const char *words);

/* A name as one path segment: percent-encoded. Browsers and many clients take the segments
 * "." and ".." as steps of the path, even when they are escaped, so these two names are
 * written as "=." and "=..". A name that is "=." itself is written as "%3D." */
void text_segment(struct text *text, const char *name);

/* Decodes what text_segment writes, and the segments "." and "..". -1 as url_decode. */
int segment_decode(const char *segment, size_t count, char *out, size_t bytes);

/* Decodes percent-encoding once. -1: an escape is malformed or stands for a NUL byte,
 * or the result with its NUL is longer than `bytes`. */
int url_decode(const char *words, size_t count, char *out, size_t bytes);

#endif
