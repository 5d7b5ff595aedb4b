/* A growing text: what a reply's body is written into. Lack of memory is
 * remembered, so that writers need not ask after each word. */
#ifndef WEB_TEXT_H
#define WEB_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum { TEXT_BYTES_MAX = 8 << 20 }; /* of one reply; a full page stays well below */

struct text {
    char *bytes; /* malloc'ed; not NUL-terminated */
    size_t count, capacity;
    bool failed; /* out of memory or beyond the bound: the text is cut short */
};

void text_fini(struct text *text);

void text_add(struct text *text, const char *bytes, size_t count);
void text_put(struct text *text, const char *words);
void text_format(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* As HTML text or inside a quoted attribute: & < > " ' become entities; control
 * characters and bytes that are no UTF-8 become U+FFFD. */
void text_html(struct text *text, const char *words);

/* As one path segment or query value: everything but letters, digits and -._~ is
 * percent-encoded. */
void text_url(struct text *text, const char *words);

/* Decodes percent-encoding once. 0; -1 where an escape is malformed, a NUL byte
 * is meant, or `bytes` (with the NUL) do not hold it. */
int url_decode(const char *words, size_t count, char *out, size_t bytes);

#endif
