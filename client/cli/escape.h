/* SPDX-License-Identifier: Apache-2.0 */
/* Makes text from files and from the network harmless for a terminal. Control
 * characters, bidirectional overrides, invisible characters and broken UTF-8 become
 * \xNN or \u{NNNN}. Other text is not changed. */
#ifndef CLI_ESCAPE_H
#define CLI_ESCAPE_H

#include <stddef.h>

/* Writes at most `bytes` bytes, always NUL-terminated, cut between characters if the text
 * does not fit. Returns its width in columns, with one column per character. */
size_t escape_text(char *out, size_t bytes, const char *text);

enum { ESCAPED_BYTES = 8192 };

/* The same of a path or another text that is printed once. Returns `out`. */
const char *escaped(char out[ESCAPED_BYTES], const char *text);

#endif
